"""Carries out a trainer set as supervisors on this machine: what a StatefulSet does in a cluster."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

from pretrain_api.wire import (
    ENV_MASTER_ADDR,
    ENV_MASTER_PORT,
    ENV_NEW_RESTART_BUDGET,
    ENV_NODE_RANK,
    ENV_NUM_NODES,
    ENV_NUM_PROC_PER_NODE,
    ENV_TRAINING_CONFIGURATION,
    TrainerProgress,
)
from pretrain_operator.local.host import ProcessHost
from pretrain_operator.local.machine import free_port, processes_per_node
from pretrain_operator.local.polling import Poller
from pretrain_operator.local.process import ChildProcess
from pretrain_operator.planning import Ending, PodObservation, RunState, TrainerObservation, TrainerSet

FIRST_DELAY_SECONDS = 0.5
LONGEST_DELAY_SECONDS = 10.0
HEALTHY_SECONDS = 60.0
"""A supervisor that lived so long starts its back-off anew."""


@dataclass
class _Pod:
    """One supervisor, through its lives."""

    rank: int
    life: int = 0
    quick_failures: int = 0
    started: float = 0.0
    not_before: float = 0.0
    process: ChildProcess | None = None
    ending: Ending | None = None
    task: asyncio.Task[None] | None = field(default=None, repr=False)

    @property
    def alive(self) -> bool:
        """Does its process exist, or is it being started?"""
        return self.task is not None and not self.task.done()


class TrainerRunner:
    """One set of supervisors at one width."""

    def __init__(self, trainer: TrainerSet, host: ProcessHost, new_restart_budget: bool) -> None:
        """Prepare the set; nothing starts yet.

        Args:
            trainer: What the plan wants.
            host: Starts the processes.
            new_restart_budget: A person started this: what ended before doesn't count.
        """
        self.child = trainer
        self._new_restart_budget = new_restart_budget
        self._host = host
        self._pods = [_Pod(rank) for rank in range(trainer.num_nodes)]
        self._master_port = free_port()
        self._progress_port = free_port()
        self._progress: TrainerProgress | None = None
        self._born = f"{time.time():.3f}"
        self._stopping = False
        self._killed = False

    @property
    def stopped(self) -> bool:
        """Was it told to stop?"""
        return self._stopping

    @property
    def active(self) -> bool:
        """Does any process exist?"""
        return any(pod.alive for pod in self._pods)

    def observe(self) -> TrainerObservation:
        """Return what is to be seen of the trainer."""
        pods = tuple(self._observe_pod(pod) for pod in self._pods)
        return TrainerObservation(self.child.num_nodes, pods, self._progress)

    def tend(self) -> None:
        """Start the supervisors that aren't there, each after its back-off."""
        if self._stopping:
            return
        for pod in self._pods:
            if not pod.alive and time.monotonic() >= pod.not_before:
                pod.task = asyncio.create_task(self._live(pod))

    def stop(self) -> None:
        """Ask the supervisors to save a checkpoint and stop; start none."""
        if self._stopping:
            return
        self._stopping = True
        for pod in self._pods:
            if pod.process is not None:
                pod.process.terminate()

    def kill(self) -> None:
        """End them at once."""
        self.stop()
        self._killed = True
        for pod in self._pods:
            if pod.process is not None:
                pod.process.kill()

    async def close(self) -> None:
        """Wait until nothing is left."""
        await asyncio.gather(*(pod.task for pod in self._pods if pod.task is not None), return_exceptions=True)

    async def poll(self, poller: Poller) -> None:
        """Ask rank 0 for the progress. After its end the last answer stays."""
        if self._pods[0].process is not None:
            self._progress = await poller.ask(self._progress_port, TrainerProgress) or self._progress

    def error(self) -> Exception | None:
        """Return what kept the engine itself from doing its work, if anything did."""
        tasks = [pod.task for pod in self._pods if pod.task is not None and pod.task.done()]
        return next((error for task in tasks if isinstance(error := task.exception(), Exception)), None)

    def _observe_pod(self, pod: _Pod) -> PodObservation:
        identity = f"{self._born}-{pod.rank}-{pod.life}"
        if pod.alive:
            return PodObservation(identity, pod.rank, RunState.RUNNING)
        if pod.ending is None or self._stopping:
            return PodObservation(identity, pod.rank, RunState.PENDING)
        state = RunState.SUCCEEDED if pod.ending.exit_code == 0 else RunState.FAILED
        return PodObservation(identity, pod.rank, state, pod.ending)

    async def _live(self, pod: _Pod) -> None:
        port = self._progress_port if pod.rank == 0 else free_port()
        processes = self.child.num_proc_per_node or processes_per_node()
        environment = {
            **self.child.environment,
            ENV_NUM_NODES: str(self.child.num_nodes),
            ENV_NUM_PROC_PER_NODE: str(processes),
            ENV_NODE_RANK: str(pod.rank),
            ENV_MASTER_ADDR: "127.0.0.1",
            ENV_MASTER_PORT: str(self._master_port),
            ENV_TRAINING_CONFIGURATION: self.child.configuration,
        }
        if self._new_restart_budget and pod.life == 0:
            environment[ENV_NEW_RESTART_BUDGET] = "true"
        side_by_side = processes * self.child.num_nodes
        name = f"{self.child.component}-{pod.rank}"
        pod.process = await self._host.start(name, self.child.command, environment, port, side_by_side)
        pod.life += 1
        pod.ending = None
        pod.started = time.monotonic()
        if self._killed:
            pod.process.kill()
        elif self._stopping:
            pod.process.terminate()
        try:
            ending = await pod.process.wait()
        finally:
            pod.process = None
        self._ended(pod, ending)

    def _ended(self, pod: _Pod, ending: Ending) -> None:
        now = time.monotonic()
        pod.quick_failures = 1 if now - pod.started > HEALTHY_SECONDS else pod.quick_failures + 1
        pod.not_before = now + min(LONGEST_DELAY_SECONDS, FIRST_DELAY_SECONDS * 2.0 ** (pod.quick_failures - 1))
        pod.ending = ending
        self._host.changed.set()
