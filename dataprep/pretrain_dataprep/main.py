"""The process around a stage: environment, signals, progress, termination message, exit code."""

from __future__ import annotations

import errno
import os
import signal
import sys
import traceback
from pathlib import Path
from types import FrameType

from pretrain_api.names import PREPARATION_STAGES, Reason
from pretrain_api.wire import (
    DEFAULT_HTTP_PORT,
    DEFAULT_TERMINATION_LOG,
    ENV_CONFIG,
    ENV_HTTP_ADDRESS,
    ENV_HTTP_PORT,
    ENV_TERMINATION_LOG,
    ExitCode,
    TerminationMessage,
)
from pretrain_dataprep.context import load_context
from pretrain_dataprep.errors import ConfigurationError, PreparationError, Stopped
from pretrain_dataprep.progress import log, serve
from pretrain_dataprep.stages import stage_function
from pretrain_dataprep.standalone.command import BLOCKS

_FULL = {errno.ENOSPC, errno.EDQUOT}
_NOT_WRITABLE = {errno.EROFS, errno.EACCES, errno.EPERM}


def main(arguments: list[str]) -> int:
    """Do one work item of a job, or a block on plain files (`standalone`); return the exit code."""
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGINT, _stop)
    code, message = _run_guarded(arguments)
    _report(message)
    return int(code)


def _stop(number: int, _: FrameType | None) -> None:
    # Cleaning up must not be cut short by an impatient second signal.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise Stopped(signal.Signals(number).name)


def _is_standalone(arguments: list[str]) -> bool:
    """Anything but a bare stage is for a person; so is one without a job, which gets the help it needs."""
    is_block = bool(arguments) and arguments[0] in BLOCKS
    return arguments[:1] in (["-h"], ["--help"]) or (is_block and (len(arguments) > 1 or ENV_CONFIG not in os.environ))


def _run_guarded(arguments: list[str]) -> tuple[ExitCode, TerminationMessage]:
    try:
        counts = _run(arguments)
    except Stopped as stopped:
        return ExitCode.STOPPED, _message("Stopped", Reason.STOPPED, f"stopped by {stopped}; finished units are kept")
    except PreparationError as error:
        return error.exit_code, _message("Failed", error.reason, str(error), error.missing_stage)
    except OSError as error:
        return _operating_system_failure(error)
    except MemoryError:
        return ExitCode.TRY_AGAIN, _message(
            "Failed", Reason.OUT_OF_MEMORY, "out of memory; raise spec.data.shards or the pod's memory"
        )
    except Exception as error:
        traceback.print_exc()
        text = f"internal error: {type(error).__name__}: {error}; please report it with this log"
        return ExitCode.INTERNAL_ERROR, _message("Failed", Reason.INTERNAL_ERROR, text)
    return ExitCode.DONE, TerminationMessage(outcome="Completed", reason=Reason.COMPLETED, counts=dict(counts))


def _run(arguments: list[str]) -> dict[str, int]:
    if _is_standalone(arguments):
        from pretrain_dataprep.standalone.command import run

        run(arguments)
        return {}
    stages = [stage.value for stage in PREPARATION_STAGES]
    if len(arguments) != 1 or arguments[0] not in stages:
        raise ConfigurationError(f"usage: python -m pretrain_dataprep {'|'.join(stages)}")
    context = load_context(arguments[0], os.environ)
    serve(context.progress, _port(), os.environ.get(ENV_HTTP_ADDRESS, ""))
    counts = stage_function(arguments[0])(context)
    context.progress.finish()
    return counts


def _port() -> int:
    text = os.environ.get(ENV_HTTP_PORT, str(DEFAULT_HTTP_PORT))
    if not text.isdecimal() or int(text) > 65535:
        raise ConfigurationError(f"{ENV_HTTP_PORT}={text}: must be a port number")
    return int(text)


def _operating_system_failure(error: OSError) -> tuple[ExitCode, TerminationMessage]:
    where = error.filename or "the storage"
    if error.errno in _FULL:
        text = f"{where}: no space left on the storage; nothing half-written was left, make room and run again"
        return ExitCode.TRY_AGAIN, _message("Failed", Reason.STORAGE_FULL, text)
    if error.errno in _NOT_WRITABLE:
        text = f"{where}: can't write: {error.strerror}; the storage must be writable for user {os.getuid()}"
        return ExitCode.INVALID_CONFIGURATION, _message("Failed", Reason.STORAGE_NOT_WRITABLE, text)
    traceback.print_exc()
    return ExitCode.TRY_AGAIN, _message("Failed", Reason.TEMPORARY_FAILURE, f"{where}: {error.strerror or error}")


def _message(outcome: str, reason: str, text: str, missing_stage: str | None = None) -> TerminationMessage:
    return TerminationMessage.model_validate(
        {"outcome": outcome, "reason": reason, "message": " ".join(text.split()), "missingStage": missing_stage}
    )


def _report(message: TerminationMessage) -> None:
    if message.message:
        log(f"{message.reason}: {message.message}")
    path = os.environ.get(ENV_TERMINATION_LOG, DEFAULT_TERMINATION_LOG)
    try:
        Path(path).write_text(message.to_json(), encoding="utf-8")
    except OSError as error:
        # Outside a pod nobody asked for the default file; a chosen one that can't be written is worth a word.
        if ENV_TERMINATION_LOG in os.environ:
            print(f"can't write {path}: {error.strerror}", file=sys.stderr)
