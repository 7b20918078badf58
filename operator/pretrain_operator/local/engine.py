"""The local engine: carries out the plan of a job with processes on this machine."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from pretrain_api.names import Component, StageState
from pretrain_api.status import PretrainJobStatus
from pretrain_operator.local.beginning import Beginning
from pretrain_operator.local.host import CommandResolver, ProcessHost, this_python
from pretrain_operator.local.outputs import missing_outputs
from pretrain_operator.local.polling import Poller
from pretrain_operator.local.stage_runner import StageRunner
from pretrain_operator.local.trainer_runner import TrainerRunner
from pretrain_operator.local.workdir import Workdir, unwritable
from pretrain_operator.planning import (
    Child,
    Event,
    Observed,
    Plan,
    StageRun,
    TrainerObservation,
    TrainerSet,
    plan,
)
from pretrain_operator.planning.stages import preparation_stages

POLL_SECONDS = 0.5
STOP_SECONDS = 60.0
"""Longest time children have to stop in, a checkpoint included; then they are killed."""


@dataclass(frozen=True)
class Update:
    """What is shown: the job as it is, and what happened since the update before."""

    status: PretrainJobStatus
    events: tuple[Event, ...] = ()


class LocalEngine:
    """One run of one job in one directory."""

    def __init__(
        self,
        beginning: Beginning,
        workdir: Workdir,
        show: Callable[[Update], None],
        until: Component | None = None,
        resolve_command: CommandResolver = this_python,
    ) -> None:
        """Prepare a run; nothing starts yet.

        Args:
            beginning: The job and what is known of it.
            workdir: Its directory, open.
            show: Called with every change.
            until: Stage of the preparation after which to stop; None: go to the end.
            resolve_command: Turns a command of the plan into one of this machine.
        """
        self._job = beginning.job
        self._inputs = beginning.inputs
        self._status = beginning.status
        self._workdir = workdir
        self._show = show
        self._until = until
        self._changed = asyncio.Event()
        self._host = ProcessHost(workdir.layout, workdir.current_config(), self._changed, resolve_command)
        self._missing = missing_outputs(workdir.layout, preparation_stages(beginning.job))
        self._stages: dict[Component, StageRunner] = {}
        self._trainer: TrainerRunner | None = None
        self._write_error: OSError | None = None
        self._timer: asyncio.TimerHandle | None = None

    async def run(self) -> PretrainJobStatus:
        """Work until nothing is left to do, or until `interrupt`; return the last status.

        Raises:
            LocalRunError: The engine itself can't work here.
        """
        poller = Poller()
        polling = asyncio.create_task(self._poll(poller))
        try:
            while not self._look().settled or self._active():
                self._raise_errors()
                await self._changed.wait()
            if self._write_error is not None:
                raise unwritable(self._workdir.root, self._write_error)
            return self._status
        finally:
            self.kill()
            polling.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await polling
            await asyncio.gather(*(runner.close() for runner in self._runners()), return_exceptions=True)
            await poller.close()

    def interrupt(self) -> None:
        """Let everything stop as a suspended job does: checkpoint saved, nothing lost."""
        spec = self._job.spec.model_copy(update={"suspend": True})
        self._job = self._job.model_copy(update={"spec": spec})
        self._changed.set()

    def kill(self) -> None:
        """End all children at once. What is in the storage stays whole."""
        for runner in self._runners():
            runner.kill()

    def _look(self) -> Plan:
        """See, plan, carry out, tell."""
        self._changed.clear()
        decision = plan(self._job, self._observe(), datetime.now(UTC))
        if self._reached_end(decision.status):
            self.interrupt()
            self._changed.clear()
            decision = plan(self._job, self._observe(), datetime.now(UTC))
        self._carry_out(decision.children)
        self._publish(decision)
        self._look_again_in(decision.next_look_seconds)
        return decision

    def _look_again_in(self, seconds: float | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        if seconds is not None:
            self._timer = asyncio.get_running_loop().call_later(seconds, self._changed.set)

    def _observe(self) -> Observed:
        return Observed(
            previous=self._status,
            inputs=self._inputs,
            missing_outputs=self._missing,
            stages={component: runner.observe() for component, runner in self._stages.items()},
            trainer=self._trainer.observe() if self._trainer is not None else TrainerObservation(),
            completion_marker=self._workdir.layout.completed.is_file(),
        )

    def _carry_out(self, children: tuple[Child, ...]) -> None:
        """Stop what isn't wanted; start what is, each after its predecessor has stopped."""
        wanted = {child.component: child for child in children}
        for runner in self._runners():
            if wanted.get(runner.child.component) != runner.child and not runner.stopped:
                runner.stop()
                asyncio.get_running_loop().call_later(STOP_SECONDS, runner.kill)
        for child in children:
            if isinstance(child, TrainerSet):
                self._tend_trainer(child)
            else:
                self._tend_stage(child)

    def _tend_stage(self, run: StageRun) -> None:
        runner = self._stages.get(run.component)
        if runner is None or (runner.stopped and not runner.active):
            self._stages[run.component] = StageRunner(run, self._host)

    def _tend_trainer(self, trainer: TrainerSet) -> None:
        if self._trainer is None or (self._trainer.stopped and not self._trainer.active):
            first = self._trainer is None
            self._trainer = TrainerRunner(trainer, self._host, new_restart_budget=first)
        self._trainer.tend()

    def _publish(self, decision: Plan) -> None:
        if decision.status == self._status and not decision.events:
            return
        self._status = decision.status
        try:
            self._workdir.write_status(self._status)
            self._write_error = None
        except OSError as error:
            self._write_error = error  # children that need the disk will say so; the next change tries again
        self._show(Update(self._status, decision.events))

    def _reached_end(self, status: PretrainJobStatus) -> bool:
        stages = status.data_preparation.stages if status.data_preparation is not None else []
        return any(stage.name == self._until and stage.state is StageState.SUCCEEDED for stage in stages)

    def _runners(self) -> list[StageRunner | TrainerRunner]:
        return [*self._stages.values(), *([self._trainer] if self._trainer is not None else [])]

    def _active(self) -> bool:
        return any(runner.active for runner in self._runners())

    def _raise_errors(self) -> None:
        for runner in self._runners():
            error = runner.error()
            if isinstance(error, OSError):
                raise unwritable(self._workdir.root, error) from error
            if error is not None:
                raise error

    async def _poll(self, poller: Poller) -> None:
        """Ask all processes for their progress, again and again."""
        while True:
            await asyncio.sleep(POLL_SECONDS)
            await asyncio.gather(*(runner.poll(poller) for runner in self._runners()))
            self._changed.set()
