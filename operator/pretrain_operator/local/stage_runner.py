"""Carries out a stage's work items as processes: what the Job controller does in a cluster."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from pretrain_api.wire import ENV_COMPLETION_INDEX, StageProgress
from pretrain_operator.local.host import ProcessHost
from pretrain_operator.local.machine import available_cores, free_port
from pretrain_operator.local.polling import Poller
from pretrain_operator.local.process import ChildProcess
from pretrain_operator.planning import Ending, ItemObservation, RunState, StageObservation, StageRun
from pretrain_operator.planning.failures import is_free, retry_delay


class StageRunner:
    """One run of one stage. At most one process a core."""

    def __init__(self, run: StageRun, host: ProcessHost) -> None:
        self.child = run
        self._host = host
        self._width = max(1, min(run.parallelism, available_cores()))
        self._slots = asyncio.Semaphore(self._width)
        self._items = [ItemObservation() for _ in range(run.completions)]
        self._busy: set[int] = set()
        """Items whose process exists or is being started."""
        self._processes: dict[int, tuple[ChildProcess, int]] = {}
        self._stopping = False
        self._killed = False
        self._tasks = [asyncio.create_task(self._work(index)) for index in range(run.completions)]

    @property
    def stopped(self) -> bool:
        """Was it told to stop?"""
        return self._stopping

    @property
    def active(self) -> bool:
        """Does any process exist?"""
        return bool(self._busy)

    def observe(self) -> StageObservation:
        """Return what is to be seen of the stage."""
        return StageObservation(self.child.configuration, tuple(self._items))

    def stop(self) -> None:
        """Start nothing more and ask what runs to stop."""
        if self._stopping:
            return
        self._stopping = True
        for process, _ in self._processes.values():
            process.terminate()
        for index, task in enumerate(self._tasks):
            if index not in self._busy:
                task.cancel()

    def kill(self) -> None:
        """End what runs at once."""
        self.stop()
        self._killed = True
        for process, _ in self._processes.values():
            process.kill()

    async def close(self) -> None:
        """Wait until nothing is left."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def poll(self, poller: Poller) -> None:
        """Ask running processes for their progress."""
        # Ports are taken now: a process may end before its turn comes.
        ports = [(index, port) for index, (_, port) in self._processes.items()]
        await asyncio.gather(*(self._poll_item(poller, index, port) for index, port in ports))

    def error(self) -> Exception | None:
        """Return what kept the engine itself from doing its work, if anything did."""
        ended = (task for task in self._tasks if task.done() and not task.cancelled())
        return next((error for task in ended if isinstance(error := task.exception(), Exception)), None)

    async def _poll_item(self, poller: Poller, index: int, port: int) -> None:
        progress = await poller.ask(port, StageProgress)
        if progress is not None and self._items[index].state is RunState.RUNNING:
            self._items[index] = replace(self._items[index], progress=progress)

    async def _work(self, index: int) -> None:
        """Try one item until it succeeds or has failed for good."""
        try:
            delay: float | None = 0.0
            while delay is not None and not self._stopping:
                await asyncio.sleep(delay)
                async with self._slots:
                    delay = await self._try(index)
        finally:
            self._host.changed.set()

    async def _try(self, index: int) -> float | None:
        """Do an item once; return the pause before the next try, None if there is none."""
        if self._stopping:
            return None
        ending = await self._run_process(index)
        before = self._items[index]
        if ending.exit_code == 0:
            self._set(index, ItemObservation(RunState.SUCCEEDED, before.failures, ending))
            return None
        if self._stopping:
            self._set(index, ItemObservation(RunState.PENDING, before.failures))
            return None
        failures = before.failures + (not is_free(ending))
        delay = retry_delay(self.child.retry, ending, failures)
        state = RunState.WAITING if delay is not None else RunState.FAILED
        self._set(index, ItemObservation(state, failures, ending))
        return delay

    async def _run_process(self, index: int) -> Ending:
        port = free_port()
        name = f"{self.child.component}-{index}"
        environment = {**self.child.environment, ENV_COMPLETION_INDEX: str(index)}
        side_by_side = min(self._width, self.child.completions)
        self._busy.add(index)
        try:
            process = await self._host.start(name, self.child.command, environment, port, side_by_side)
            self._processes[index] = (process, port)
            self._set(index, replace(self._items[index], state=RunState.RUNNING, progress=None))
            self._stop_late_comer(process)
            return await process.wait()
        finally:
            self._processes.pop(index, None)
            self._busy.remove(index)

    def _stop_late_comer(self, process: ChildProcess) -> None:
        """Stop a process that was being started when the stage was told to stop."""
        if self._killed:
            process.kill()
        elif self._stopping:
            process.terminate()

    def _set(self, index: int, item: ItemObservation) -> None:
        self._items[index] = item
        self._host.changed.set()
