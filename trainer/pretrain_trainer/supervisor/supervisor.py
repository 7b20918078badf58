"""The supervisor of a node: a loop that looks at its ranks, hears what node 0 wants, and does it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
import uuid
from typing import Protocol

from pretrain_api.names import Reason
from pretrain_api.wire import ExitCode, TerminationMessage, TrainerProgress
from pretrain_trainer.supervisor.agent import Start, Stop, StopMode, decide
from pretrain_trainer.supervisor.head import Head, completed_message
from pretrain_trainer.supervisor.logs import LOGGER, LineWriter
from pretrain_trainer.supervisor.messages import Action, Directive, NodeReport
from pretrain_trainer.supervisor.metrics import Snapshot
from pretrain_trainer.supervisor.ranks import RankGroup
from pretrain_trainer.supervisor.settings import Settings

TURN_SECONDS = 0.2
"""Longest time between two looks at heartbeats, progress and time-outs; whatever happens wakes the loop at once."""


class Office(Protocol):
    """Where a node's directives come from."""

    @property
    def master_address(self) -> str:
        """Where this node's ranks find those of node 0."""

    def exchange(self, now: float, report: NodeReport, progress: TrainerProgress | None) -> Directive | None:
        """Hand in a report; return the newest directive."""

    def contact_age_seconds(self, now: float) -> float:
        """Return the time since the newest report that was answered was sent."""

    def settled(self, now: float) -> bool:
        """At the end: may this supervisor go?"""

    def shown(self) -> TrainerProgress | None:
        """Return the progress of the job, where it is known."""

    async def close(self) -> None:
        """Let go of everything."""


class Supervisor:
    """One node's supervisor."""

    def __init__(self, settings: Settings, writer: LineWriter, incarnation: str | None = None) -> None:
        self._settings = settings
        self._wake = asyncio.Event()
        self.incarnation = incarnation or uuid.uuid4().hex
        self._group = RankGroup(settings, writer, self._wake.set)
        self._office: Office | None = None
        self._head: Head | None = None
        self._directive: Directive | None = None
        self._interrupts = 0
        self._termination: TerminationMessage | None = None
        self._host = socket.gethostname()
        self.snapshot = Snapshot(TrainerProgress(state="Starting"), alive=time.monotonic())

    @property
    def termination(self) -> TerminationMessage | None:
        """What to say at the end."""
        return self._termination

    def wake(self) -> None:
        """Take the next turn at once."""
        self._wake.set()

    def interrupt(self) -> None:
        """SIGTERM or SIGINT came: the first lets the ranks save, the second ends them."""
        self._interrupts += 1
        LOGGER.info("told to stop%s", "" if self._interrupts == 1 else " at once")
        if self._head is not None:
            self._head.leaving = True
        self._wake.set()

    async def run(self, office: Office, head: Head | None) -> int:
        """Supervise until the end; return the exit code."""
        self._office, self._head = office, head
        try:
            while True:
                self._wake.clear()
                exit_code = self._turn(time.monotonic(), office)
                if exit_code is not None:
                    return exit_code
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(TURN_SECONDS):
                        await self._wake.wait()
        finally:
            self._group.close()
            await office.close()

    def _turn(self, now: float, office: Office) -> int | None:
        self._group.observe(now)
        progress = self._group.progress()
        directive = office.exchange(now, self._report(now), progress)
        if directive != self._directive:
            self._wake.set()  # the acknowledgement is due
        self._directive = directive
        self._obey(now, office)
        self.snapshot = self._look(now, office)
        return self._exit_code(now, office)

    def _report(self, now: float) -> NodeReport:
        world, group, heard = self._settings.world, self._group, self._directive
        return NodeReport(
            node_rank=world.node_rank,
            incarnation=self.incarnation,
            host=self._host,
            num_nodes=world.num_nodes,
            local_world_size=world.local_world_size,
            sent=now,
            coordinator=heard.coordinator if heard else "",
            sequence=heard.sequence if heard else 0,
            generation=group.local.generation,
            live=group.live,
            finished=group.finished,
            failures=group.failures,
            leaving=self._interrupts > 0,
        )

    def _obey(self, now: float, office: Office) -> None:
        if self._interrupts > 1:
            self._group.stop(StopMode.NOW, now)
            return
        command = decide(self._directive, office.contact_age_seconds(now), self._group.local, self._interrupts > 0)
        if isinstance(command, Start):
            self._group.start(command, office.master_address, now)
            self._wake.set()
        elif isinstance(command, Stop):
            self._group.stop(command.mode, now)

    def _look(self, now: float, office: Office) -> Snapshot:
        head = self._head
        return Snapshot(
            progress=office.shown() or TrainerProgress(state=self._state()),
            generation=self._group.local.generation,
            heartbeat_age_seconds=self._group.heartbeat_age_seconds(now),
            restarts_by_reason=dict(head.record.restarts_by_reason) if head else {},
            rollbacks_by_reason=head.rollbacks_by_reason if head else {},
            alive=now,
        )

    def _state(self) -> str:
        action = self._directive.action if self._directive else Action.WAIT
        if action is Action.COMPLETE:
            return "Completed"
        if action is Action.FAIL:
            return "Failed"
        if self._interrupts:
            return "Stopping"
        if action is Action.RUN and self._group.live:
            return "Training"
        return "Restarting" if self._group.local.generation else "Starting"

    def _exit_code(self, now: float, office: Office) -> int | None:
        if self._group.live:
            return None
        action = self._directive.action if self._directive else Action.WAIT
        if action is Action.COMPLETE:
            return self._when_complete(now, office)
        if action is Action.FAIL and self._directive is not None:
            self._termination = self._directive.termination
            return self._directive.exit_code if office.settled(now) or self._interrupts else None
        if self._interrupts:
            return self._when_stopped()
        return None

    def _when_complete(self, now: float, office: Office) -> int | None:
        if self._termination is None:
            LOGGER.info("the job is complete")
            self._termination = completed_message(self._group.result(0))
        waits = self._settings.wait_when_completed and not self._interrupts
        return None if waits or not (office.settled(now) or self._interrupts) else ExitCode.DONE

    def _when_stopped(self) -> int:
        if self._group.finished and self._settings.is_complete:
            self._termination = completed_message(self._group.result(0))
            return ExitCode.DONE
        result = self._group.result(0)
        message = "stopped by a signal; training goes on from its newest checkpoint"
        if result is not None and result.outcome == "Stopped":
            message = result.message
        elif not self._group.saved:
            message = (
                f"no checkpoint was saved within {self._settings.grace_seconds:.0f} s after the signal to stop; "
                "training goes on from the newest one there is"
            )
        self._termination = TerminationMessage(outcome="Stopped", reason=Reason.STOPPED, message=message)
        return ExitCode.STOPPED
