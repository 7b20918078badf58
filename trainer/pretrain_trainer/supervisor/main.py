"""`python -m pretrain_trainer`: set up, supervise, say how it ended."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from pretrain_api import wire
from pretrain_api.wire import ExitCode, TerminationMessage, TrainerProgress
from pretrain_trainer.completion import set_aside_stale_marker
from pretrain_trainer.errors import TemporaryFailure, TrainerError
from pretrain_trainer.supervisor.head import Head, completed_message
from pretrain_trainer.supervisor.host import become_subreaper
from pretrain_trainer.supervisor.http_endpoints import Endpoints
from pretrain_trainer.supervisor.link import LinkServer, RemoteOffice
from pretrain_trainer.supervisor.logs import LOGGER, LineWriter, SupervisorHandler
from pretrain_trainer.supervisor.metrics import Snapshot
from pretrain_trainer.supervisor.offices import HeadOffice
from pretrain_trainer.supervisor.settings import Settings, load_settings
from pretrain_trainer.supervisor.supervisor import Supervisor


def main() -> int:
    """Run; return the exit code."""
    try:
        settings = load_settings()
    except TrainerError as error:
        _leave_message(
            Path(os.environ.get(wire.ENV_TERMINATION_LOG, wire.DEFAULT_TERMINATION_LOG)),
            _failure(error),
        )
        return error.exit_code
    writer = _set_up_logging(settings)
    become_subreaper()
    try:
        exit_code, termination = asyncio.run(_run(settings, writer))
    except TrainerError as error:
        exit_code, termination = error.exit_code, _failure(error)
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        failure = TemporaryFailure(f"{place}{error.strerror}; make the job's storage readable and writable")
        exit_code, termination = failure.exit_code, _failure(failure)
    if termination is not None:
        _leave_message(settings.termination_log, termination)
    return exit_code


def _set_up_logging(settings: Settings) -> LineWriter:
    writer = LineWriter(settings.log_format)
    LOGGER.setLevel(logging.INFO)
    LOGGER.addHandler(SupervisorHandler(writer))
    LOGGER.propagate = False
    return writer


async def _run(settings: Settings, writer: LineWriter) -> tuple[int, TerminationMessage | None]:
    if settings.world.node_rank == 0:
        _set_aside_stale_marker(settings)
    if settings.is_complete:
        return await _stay_completed(settings), completed_message(None)
    supervisor = Supervisor(settings, writer)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, supervisor.interrupt)
    endpoints = _listen(settings, lambda: supervisor.snapshot)
    try:
        exit_code = await _supervise(settings, supervisor)
        return exit_code, supervisor.termination
    finally:
        if endpoints is not None:
            endpoints.close()


def _set_aside_stale_marker(settings: Settings) -> None:
    stale = set_aside_stale_marker(settings.storage, settings.training_configuration)
    if stale is not None:
        LOGGER.info(
            "%s was of another training than the one wanted now: it is %s from now on; going on from the newest "
            "checkpoint",
            settings.storage.completed,
            stale.name,
        )


async def _supervise(settings: Settings, supervisor: Supervisor) -> int:
    world = settings.world
    if world.node_rank > 0:
        return await supervisor.run(RemoteOffice(settings, supervisor.wake), None)
    head = Head(settings, supervisor.incarnation)
    if world.num_nodes == 1:
        return await supervisor.run(HeadOffice(head, None), head)
    server = LinkServer(head, supervisor.wake)
    await server.listen(world)
    return await supervisor.run(HeadOffice(head, server), head)


async def _stay_completed(settings: Settings) -> int:
    """Nothing is left to do: say so until told to stop, where somebody would only start us again."""
    LOGGER.info("%s is there: the job is complete", settings.storage.completed)
    if not settings.wait_when_completed:
        return ExitCode.DONE
    told_to_stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told_to_stop.set)
    progress = TrainerProgress(state="Completed")
    endpoints = _listen(settings, lambda: Snapshot(progress, alive=time.monotonic()))
    await told_to_stop.wait()
    if endpoints is not None:
        endpoints.close()
    return ExitCode.DONE


def _listen(settings: Settings, snapshot: Callable[[], Snapshot]) -> Endpoints | None:
    try:
        endpoints = Endpoints(settings.http_address, settings.http_port, snapshot)
        LOGGER.info("/progress, /healthz and /metrics are on port %d", endpoints.port)
        return endpoints
    except OSError as error:
        LOGGER.error(
            "port %d can't be listened on: %s; going on without /progress, /healthz, /metrics; set %s to another one",
            settings.http_port,
            error.strerror,
            wire.ENV_HTTP_PORT,
        )
        return None


def _failure(error: TrainerError) -> TerminationMessage:
    LOGGER.error("%s", error)
    return TerminationMessage(outcome="Failed", reason=error.reason, message=str(error))


def _leave_message(path: Path, message: TerminationMessage) -> None:
    try:
        path.write_text(message.to_json(), encoding="utf-8")  # in place: kubelet mounts this very file
    except OSError as error:
        LOGGER.warning("%s: %s; the termination message is lost: %s", path, error.strerror, message.message)


if __name__ == "__main__":
    sys.exit(main())
