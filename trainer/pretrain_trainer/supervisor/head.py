"""What node 0 does beside its ranks: decide for all nodes, keep the books, show the whole."""

from __future__ import annotations

import socket
import time
from collections import Counter
from typing import Any

from pretrain_api.names import LedgerEvent, Reason
from pretrain_api.status import LastRestart
from pretrain_api.wire import TerminationMessage, TrainerProgress
from pretrain_trainer.ledger import append_event, read_events, utc_now
from pretrain_trainer.supervisor.coordinator import Coordinator, EndedGeneration, Phase
from pretrain_trainer.supervisor.host import free_port
from pretrain_trainer.supervisor.logs import LOGGER
from pretrain_trainer.supervisor.messages import Action, Directive, NodeReport
from pretrain_trainer.supervisor.progress_tracker import ProgressTracker
from pretrain_trainer.supervisor.record import load_record, save_record
from pretrain_trainer.supervisor.settings import Settings
from pretrain_trainer.supervisor.storage_writer import StorageWriter
from pretrain_trainer.supervisor.verdict import Cause, GiveUp, Kind, RestartPolicy, cause_of

SAVE_RECORD_SECONDS = 30.0
SETTLE_SECONDS = 5.0
"""How long node 0 stays at the end to tell the others."""


class Head:
    """The coordinator with its surroundings."""

    def __init__(self, settings: Settings, incarnation: str) -> None:
        self._settings = settings
        self._storage = settings.storage
        self._writer = StorageWriter()
        self.record = load_record(settings.storage.root)
        if settings.new_restart_budget:
            self.record.running = False
            self.record.counted_restarts = []
        self.policy = RestartPolicy(
            settings.max_restarts, settings.restart_window_seconds, list(self.record.counted_restarts)
        )
        world = settings.world
        self.coordinator = Coordinator(
            incarnation,
            world.num_nodes,
            self.record.generation,
            lambda: free_port(world.listen_address),
            predecessor_died=self.record.running,
        )
        self.tracker = ProgressTracker(self.record.useful_time)
        self.rollbacks_by_reason: dict[str, int] = {}
        self.leaving = False
        self._hosts: dict[int, str] = {}
        self._absent: list[int] = []
        self._newest_rollback: str | None = None
        self._saved = time.monotonic()
        self._settle_until: float | None = None
        self._restarted = self.record.generation > 0
        self._writer.submit(self._count_rollbacks)
        if self.record.running:
            self._take_over(time.monotonic())
        self._save(time.monotonic())

    def hear(self, now: float, report: NodeReport) -> bool:
        """Take note of a node's report; False if it has no say."""
        world = self._settings.world
        if (report.num_nodes, report.local_world_size) != (world.num_nodes, world.local_world_size):
            return False
        accepted = self.coordinator.hear(now, report)
        if accepted:
            self._hosts[report.node_rank] = report.host
        return accepted

    def advance(self, now: float, progress: TrainerProgress | None) -> Directive:
        """Do what is due; return what every node should do.

        Args:
            now: Monotonic time, in seconds.
            progress: What rank 0 of the newest generation that was started here has said last.
        """
        if progress is not None and self.coordinator.phase in {Phase.RUNNING, Phase.ENDING}:
            self.tracker.see(now, progress)
            self._look_at_rollbacks(progress)
        before = self.coordinator.directive.sequence
        self.coordinator.advance(now)
        if self.coordinator.ended is not None:
            self._judge(now, self.coordinator.ended)
            self.coordinator.advance(now)
        if self.coordinator.directive.sequence != before:
            self._changed(now, self.coordinator.directive)
        self._say_who_is_missing()
        if now - self._saved > SAVE_RECORD_SECONDS:
            self._save(now)
        return self.coordinator.directive

    def settled(self, now: float) -> bool:
        """At the end: do all nodes know?"""
        return self.coordinator.acknowledged_by_all() or (self._settle_until is not None and now > self._settle_until)

    def shown(self) -> TrainerProgress:
        """Return /progress of the job."""
        newest = self.tracker.newest or TrainerProgress(state="Starting")
        termination = self.coordinator.directive.termination
        return newest.model_copy(
            update={
                "state": self._state(),
                "message": termination.message if termination else newest.message,
                "restarts": self.record.restarts,
                "goodput": self.record.goodput(time.time()) if self.tracker.newest else None,
            }
        )

    def close(self) -> None:
        """Write what is still to be written."""
        self.record.running = False
        self._save(time.monotonic())
        self._writer.close()

    def _state(self) -> str:
        phase = self.coordinator.phase
        if phase is Phase.COMPLETED:
            return "Completed"
        if phase is Phase.FAILED:
            return "Failed"
        if self.leaving:
            return "Stopping"
        progress = self.tracker.of_this_generation if phase is Phase.RUNNING else None
        if progress is not None and progress.state != "Starting":
            return progress.state
        return "Restarting" if self._restarted or phase in {Phase.ENDING, Phase.ENDED} else "Starting"

    def _changed(self, now: float, directive: Directive) -> None:
        if directive.action is Action.RUN:
            LOGGER.info("generation %d starts on %d nodes", directive.generation, self._settings.world.num_nodes)
            self.record.generation = directive.generation
            self.record.running = True
            self.tracker.begin()
            self._save(now)
        elif directive.action in {Action.COMPLETE, Action.FAIL}:
            self._settle_until = now + SETTLE_SECONDS
            self._save(now)

    def _take_over(self, now: float) -> None:
        """Our predecessor died while ranks ran: that counts as any other failure, else a container that is killed for
        want of memory again and again would never use up its budget."""
        message = "the trainer of node 0 went away without a word: killed, out of memory, or with its machine"
        self._hosts[0] = socket.gethostname()
        self._decide(now, Cause(Kind.NODE_LOST, Reason.NODE_LOST, message, 0), made_step=True)

    def _judge(self, now: float, ended: EndedGeneration) -> None:
        self.record.running = False
        if ended.finished and self._settings.is_complete:
            self.coordinator.complete()
            return
        if self.leaving:
            return  # whoever comes next begins anew; this was no failure
        cause = cause_of(ended)
        for failure in ended.failures:
            if failure.reason == Reason.HANG:
                self._note(LedgerEvent.HANG, failure.message, node=self._hosts.get(failure.node_rank, ""))
        self._decide(now, cause, self.tracker.made_step)

    def _decide(self, now: float, cause: Cause, made_step: bool) -> None:
        verdict = self.policy.judge(cause, made_step, time.time())
        self.record.counted_restarts = self.policy.counted
        if isinstance(verdict, GiveUp):
            self._give_up(verdict)
        else:
            self._restart(now, cause, verdict.delay_seconds)

    def _restart(self, now: float, cause: Cause, delay_seconds: float) -> None:
        LOGGER.warning("restart in %.0f s: %s: %s", delay_seconds, cause.reason, cause.message)
        node = self._hosts.get(cause.node_rank, "")
        restarts = self.record.restarts
        restarts.total += 1
        restarts.counted += cause.counted
        restarts.last = LastRestart(time=utc_now(), reason=cause.reason, node=node, message=cause.message)
        by_reason = self.record.restarts_by_reason
        by_reason[cause.reason] = by_reason.get(cause.reason, 0) + 1
        self._restarted = True
        self._note(LedgerEvent.RESTART, cause.message, reason=cause.reason, node=node, counted=cause.counted)
        self._save(now)
        self.coordinator.restart(now + delay_seconds)

    def _give_up(self, verdict: GiveUp) -> None:
        LOGGER.error("%s: %s", verdict.termination.reason, verdict.termination.message)
        self._note(LedgerEvent.FAILED, verdict.termination.message, reason=verdict.termination.reason)
        self.coordinator.fail(verdict.exit_code, verdict.termination)

    def _note(self, event: LedgerEvent, message: str, **fields: Any) -> None:
        training = self.tracker.newest.training if self.tracker.newest else None
        self._writer.submit(
            append_event,
            self._storage.ledger,
            event,
            step=training.step if training else None,
            sequences=training.sequences if training else None,
            tokens=training.tokens if training else None,
            wallSeconds=round(time.time() - self.record.first_started, 3),
            message=message,
            generation=self.coordinator.generation,
            **fields,
        )

    def _save(self, now: float) -> None:
        self._saved = now
        self._writer.submit(save_record, self._storage.root, self.record.model_copy(deep=True))

    def _look_at_rollbacks(self, progress: TrainerProgress) -> None:
        newest = max((rollback.time for rollback in progress.rollbacks), default=None)
        if newest != self._newest_rollback:
            self._newest_rollback = newest
            self._writer.submit(self._count_rollbacks)

    def _count_rollbacks(self) -> None:
        """Count all of them: the progress has the newest 20 only."""
        events = read_events(self._storage.ledger)
        reasons = (event.get("reason", "") for event in events if event.get("event") == LedgerEvent.ROLLBACK)
        self.rollbacks_by_reason = dict(Counter(str(reason) for reason in reasons))

    def _say_who_is_missing(self) -> None:
        absent = self.coordinator.absent if self.coordinator.phase is Phase.FORMING else []
        if absent != self._absent:
            self._absent = absent
            if absent:
                LOGGER.info("waiting for node %s", ", ".join(map(str, absent)))


def completed_message(storage_message: TerminationMessage | None) -> TerminationMessage:
    """Return the termination message of a job that is done: rank 0's, if it left one."""
    if storage_message is not None and storage_message.outcome == "Completed":
        return storage_message
    return TerminationMessage(outcome="Completed", reason=Reason.COMPLETED, message="training is done")
