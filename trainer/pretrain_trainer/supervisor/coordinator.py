"""The state machine of node 0: which generation of ranks should run on all nodes.

A generation is one life of all ranks of the job together. The coordinator starts one when every node is there and has
no rank process left, and ends it everywhere as soon as a part of it fails. It has neither clock nor network: it is told
what nodes report and what time it is, and answers with a directive that holds for all nodes.

At most one generation is alive at any time, because

- a generation starts only after every node has acknowledged the latest order to stop and has no process left;
- a node whose supervisor died has no ranks (they die with it), and one that can't be heard stops its ranks by itself
  when its lease ends, which is before the coordinator gives it up (`agent.py`);
- a coordinator that comes after another one waits for that long where nodes have been replaced, too: it can't know
  whether their predecessors are dead or cut off.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto

from pretrain_api.wire import TerminationMessage
from pretrain_trainer.supervisor.messages import Action, Directive, NodeReport, RankFailure

NODE_TIMEOUT_SECONDS = 10.0
"""A node that has said nothing for so long is lost."""
RECONNECT_SECONDS = 3.0
"""A node whose connection broke is lost unless it is back within this time."""


class Phase(Enum):
    """Where the coordinator is."""

    FORMING = auto()
    RUNNING = auto()
    ENDING = auto()
    ENDED = auto()
    COMPLETED = auto()
    FAILED = auto()


@dataclass
class Member:
    """A node as the coordinator knows it."""

    report: NodeReport
    heard: float
    disconnected: float | None = None


@dataclass(frozen=True)
class EndedGeneration:
    """A generation that is over, and why."""

    generation: int
    finished: bool
    failures: tuple[RankFailure, ...]
    lost_nodes: tuple[int, ...]
    leaving_nodes: tuple[int, ...]


@dataclass
class _Generation:
    """The generation that runs or is being ended."""

    number: int
    crew: dict[int, str]
    """Incarnation by node rank."""
    failures: dict[tuple[int, int], RankFailure] = field(default_factory=dict)
    lost: set[int] = field(default_factory=set)
    leaving: set[int] = field(default_factory=set)
    finished: bool = False

    @property
    def unhealthy(self) -> bool:
        return bool(self.failures or self.lost)


class Coordinator:
    """Decides for all nodes. Call `hear` and `disconnect` as things come, then and now and then `advance`."""

    def __init__(
        self,
        identity: str,
        num_nodes: int,
        generation: int,
        choose_port: Callable[[], int],
        predecessor_died: bool = False,
        node_timeout_seconds: float = NODE_TIMEOUT_SECONDS,
        reconnect_seconds: float = RECONNECT_SECONDS,
    ) -> None:
        """Begin with no members.

        Args:
            identity: Incarnation of this supervisor.
            num_nodes: Nodes the job needs.
            generation: The newest generation known of earlier coordinators; 0 if none.
            choose_port: Gives a free TCP port of this host.
            predecessor_died: Did an earlier coordinator end without a word while a generation ran?
            node_timeout_seconds: Silence after which a node is lost; must be longer than the nodes' lease.
            reconnect_seconds: Time a node whose connection broke has to come back.
        """
        self.num_nodes = num_nodes
        self.generation = generation
        self.phase = Phase.FORMING
        self.members: dict[int, Member] = {}
        self.not_before = 0.0
        self._choose_port = choose_port
        self._predecessor_died = predecessor_died
        self._began: float | None = None
        self._has_started_any = False
        self._node_timeout_seconds = node_timeout_seconds
        self._reconnect_seconds = reconnect_seconds
        self._current: _Generation | None = None
        self._directive = Directive(coordinator=identity, sequence=1, action=Action.WAIT)

    @property
    def directive(self) -> Directive:
        """What every node should do now."""
        return self._directive

    @property
    def ended(self) -> EndedGeneration | None:
        """The generation that is over and waits for a verdict: `restart`, `complete` or `fail`."""
        current = self._current
        if self.phase is not Phase.ENDED or current is None:
            return None
        return EndedGeneration(
            generation=current.number,
            finished=current.finished,
            failures=tuple(current.failures.values()),
            lost_nodes=tuple(sorted(current.lost)),
            leaving_nodes=tuple(sorted(current.leaving)),
        )

    @property
    def absent(self) -> list[int]:
        """Node ranks that are not there."""
        return [rank for rank in range(self.num_nodes) if rank not in self.members]

    def hear(self, now: float, report: NodeReport) -> bool:
        """Take note of a report; False if its sender has no say: another process holds that node rank."""
        member = self.members.get(report.node_rank)
        if not 0 <= report.node_rank < self.num_nodes:
            return False
        if member is not None and member.report.incarnation != report.incarnation:
            if member.disconnected is None and now - member.heard <= self._node_timeout_seconds:
                return False
        elif member is not None and report.sent < member.report.sent:
            return True
        self.members[report.node_rank] = Member(report, now)
        self.generation = max(self.generation, report.generation)
        return True

    def disconnect(self, now: float, node_rank: int, incarnation: str) -> None:
        """Take note that the connection of a node broke."""
        member = self.members.get(node_rank)
        if member is not None and member.report.incarnation == incarnation and member.disconnected is None:
            member.disconnected = now

    def advance(self, now: float) -> None:
        """Do whatever is due."""
        self._began = now if self._began is None else self._began
        self._forget_lost(now)
        if self.phase is Phase.RUNNING:
            self._watch()
        if self.phase is Phase.ENDING:
            self._finish_ending()
        if self.phase is Phase.FORMING and now >= self.not_before and self._all_ready() and not self._haunted(now):
            self._start()

    def restart(self, not_before: float) -> None:
        """Verdict: a new generation, not earlier than `not_before`."""
        self._current = None
        self.phase = Phase.FORMING
        self.not_before = not_before

    def complete(self) -> None:
        """Verdict: the job is done."""
        self.phase = Phase.COMPLETED
        self._order(Action.COMPLETE)

    def fail(self, exit_code: int, termination: TerminationMessage) -> None:
        """Verdict: the job has failed for good."""
        self.phase = Phase.FAILED
        self._order(Action.FAIL, exit_code=exit_code, termination=termination)

    def acknowledged_by_all(self) -> bool:
        """Has every node that is there heard the current directive and no process left?"""
        return all(self._idle(member.report) for member in self.members.values() if member.disconnected is None)

    def _order(self, action: Action, **fields: object) -> None:
        self._directive = Directive.model_validate(
            {
                "coordinator": self._directive.coordinator,
                "sequence": self._directive.sequence + 1,
                "action": action,
                "generation": self.generation,
                **fields,
            }
        )

    def _forget_lost(self, now: float) -> None:
        for rank, member in list(self.members.items()):
            silent = now - member.heard > self._node_timeout_seconds
            gone = member.disconnected is not None and now - member.disconnected > self._reconnect_seconds
            if silent or gone:
                del self.members[rank]

    def _idle(self, report: NodeReport) -> bool:
        heard = report.coordinator == self._directive.coordinator and report.sequence == self._directive.sequence
        return heard and not report.live

    def _all_ready(self) -> bool:
        return len(self.members) == self.num_nodes and all(
            member.disconnected is None and not member.report.leaving and self._idle(member.report)
            for member in self.members.values()
        )

    def _haunted(self, now: float) -> bool:
        """May nodes still run that an earlier coordinator knew, and that have been replaced since?"""
        if self._has_started_any or self._began is None or now - self._began > self._node_timeout_seconds:
            return False
        others = [member.report for rank, member in self.members.items() if rank != 0]
        replaced = any(report.generation == 0 for report in others)
        return replaced and (self._predecessor_died or any(report.generation > 0 for report in others))

    def _start(self) -> None:
        self._has_started_any = True
        self.generation += 1
        crew = {rank: member.report.incarnation for rank, member in self.members.items()}
        self._current = _Generation(self.generation, crew)
        self.phase = Phase.RUNNING
        self._order(Action.RUN, master_port=self._choose_port())

    def _take_stock(self, current: _Generation) -> None:
        """Write down what members say about the current generation, and who is gone."""
        if current.finished:
            return
        for rank, incarnation in current.crew.items():
            member = self.members.get(rank)
            if member is None or member.report.incarnation != incarnation:
                if rank not in current.leaving:
                    current.lost.add(rank)
                continue
            if member.report.leaving:
                current.leaving.add(rank)
            if member.report.generation == current.number:
                for failure in member.report.failures:
                    current.failures.setdefault((rank, failure.rank), failure)
        reports = [member.report for member in self.members.values()]
        current.finished = len(reports) == self.num_nodes and all(
            report.finished and report.generation == current.number for report in reports
        )

    def _watch(self) -> None:
        assert self._current is not None
        current = self._current
        self._take_stock(current)
        current.lost |= {rank for rank in current.crew if self._gave_up(rank, current)}
        if current.finished or current.unhealthy:
            self._end(Action.WAIT)
        elif current.leaving:
            self._end(Action.SAVE)

    def _gave_up(self, rank: int, current: _Generation) -> bool:
        """Has a node stopped its ranks by itself, since it couldn't reach us for a while?"""
        report = self.members[rank].report if rank in self.members else None
        if report is None or report.generation != current.number or report.leaving:
            return False
        return not (report.live or report.finished or report.failures)

    def _end(self, action: Action) -> None:
        assert self._current is not None
        self.phase = Phase.ENDING
        hang = any(failure.reason == "Hang" for failure in self._current.failures.values())
        self._order(action, dump_stacks=hang)

    def _finish_ending(self) -> None:
        assert self._current is not None
        current = self._current
        self._take_stock(current)
        if current.unhealthy and self._directive.action is Action.SAVE:
            # No checkpoint can come of it any more: the ranks only make one together.
            self._end(Action.WAIT)
        if not all(self._idle(member.report) for member in self.members.values()):
            return
        if self._directive.action is Action.SAVE:
            # So that a node that comes back in the meantime has no old order to obey.
            self._order(Action.WAIT)
        self.phase = Phase.ENDED
