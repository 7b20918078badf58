"""`python -m pretrain_operator`: the operator's process."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import socket
import sys
import time
import uuid
from pathlib import Path

import kopf
from kubernetes.aio.client import ApiClient
from kubernetes.aio.config import ConfigException

from pretrain_operator.kubernetes.client import Cluster, connect
from pretrain_operator.kubernetes.config import ConfigError, OperatorConfig, load_config
from pretrain_operator.kubernetes.health import HTTP_PORT, serve
from pretrain_operator.kubernetes.leadership import Election
from pretrain_operator.kubernetes.logs import LOGGER, set_up_logs
from pretrain_operator.kubernetes.memory import Memories
from pretrain_operator.kubernetes.metrics import OperatorMetrics
from pretrain_operator.kubernetes.polling import Poller
from pretrain_operator.kubernetes.queue import WorkQueue
from pretrain_operator.kubernetes.reconciler import Reconciler
from pretrain_operator.kubernetes.stateless import NoDiff, NoProgress
from pretrain_operator.kubernetes.watching import Watched, registry
from pretrain_operator.kubernetes.workers import Workers

STALLED_SECONDS = 60.0
"""A main loop that hasn't turned for so long isn't healthy."""


def main() -> int:
    """Run until told to stop; 0: stopped, 1: it can't work here, or leadership was lost."""
    options = _parser().parse_args()
    try:
        config = load_config(options.config) if options.config is not None else OperatorConfig()
        set_up_logs(config.log_format)
        return asyncio.run(_Operator(config, options.listen, options.port).run())
    except ConfigError as error:
        print(f"pretrain-operator: {error}", file=sys.stderr)
    except ConfigException as error:
        print(
            f"pretrain-operator: no cluster: {error}; run it in a pod, or set KUBECONFIG to the path of a kubeconfig",
            file=sys.stderr,
        )
    except OSError as error:
        print(f"pretrain-operator: {error}", file=sys.stderr)
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pretrain_operator", description="Runs PretrainJobs in a Kubernetes cluster."
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="configuration (YAML); default: all defaults")
    parser.add_argument("--listen", metavar="ADDRESS", help="serve health and metrics on this address; default: all")
    parser.add_argument("--port", type=int, default=HTTP_PORT, help="port for that; default: %(default)s")
    return parser


class _Operator:
    """One process of the operator."""

    def __init__(self, config: OperatorConfig, address: str | None, port: int) -> None:
        self._config = config
        self._address, self._port = address, port
        self._queue = WorkQueue()
        self._memories = Memories()
        self._metrics = OperatorMetrics(self._memories, self._queue)
        self._turned = time.monotonic()

    async def run(self) -> int:
        """Stand for leadership, lead, and stop when told to."""
        api = await connect()
        server = await serve(self._metrics.registry, self._problem, self._address, self._port)
        beat = asyncio.create_task(self._beat())
        task = asyncio.current_task()
        for number in (signal.SIGTERM, signal.SIGINT):
            if task is not None:
                asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        try:
            return await self._lead(api)
        except asyncio.CancelledError:
            return 0  # told to stop while another one leads
        finally:
            beat.cancel()
            await server.cleanup()
            await api.close()  # type: ignore[no-untyped-call]

    async def _lead(self, api: ApiClient) -> int:
        election = self._config.leader_election
        if not election.enabled:
            await self._work(api)
            return 0
        identity = f"{os.environ.get('POD_NAME', socket.gethostname())}_{uuid.uuid4().hex[:8]}"
        namespace = os.environ.get("POD_NAMESPACE", "default")
        cluster = Cluster(api, self._metrics.count_request)
        ended = await Election(cluster, election, namespace, identity).lead(lambda: self._work(api))
        return 0 if ended else 1

    async def _work(self, api: ApiClient) -> None:
        """Watch and reconcile until a signal comes."""
        watched = Watched()
        cluster = Cluster(api, self._metrics.count_request)
        workers = Workers(self._queue, self._config.workers, self._metrics)
        reconciler = Reconciler(cluster, watched, self._memories, self._config, workers.give_way)
        poller = Poller(
            watched,
            self._memories,
            self._queue.add,
            self._config.progress_interval_seconds / 2,
            self._metrics.poll_failures.inc,
        )
        tasks = [asyncio.create_task(workers.run(reconciler.look)), asyncio.create_task(poller.run())]
        self._metrics.leader.set(1)
        try:
            await _watch(registry(watched, self._queue, self._memories, self._config.watch_nodes), self._config)
        finally:
            self._metrics.leader.set(0)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._queue.close()

    async def _beat(self) -> None:
        while True:
            self._turned = time.monotonic()
            await asyncio.sleep(1)

    def _problem(self) -> str:
        silent = time.monotonic() - self._turned
        return f"the main loop hasn't turned for {silent:.0f} s" if silent > STALLED_SECONDS else ""


async def _watch(handlers: kopf.OperatorRegistry, config: OperatorConfig) -> None:
    """Have kopf watch until a signal comes."""
    settings = kopf.OperatorSettings()
    settings.persistence.diffbase_storage = NoDiff()
    settings.persistence.progress_storage = NoProgress()
    settings.posting.enabled = False
    settings.scanning.disabled = True
    settings.execution.max_workers = 1
    LOGGER.info("watching %s", ", ".join(config.namespaces) or "all namespaces")
    with contextlib.suppress(asyncio.CancelledError):
        await kopf.operator(
            registry=handlers,
            settings=settings,
            standalone=True,
            clusterwide=not config.namespaces,
            namespaces=config.namespaces,
        )
