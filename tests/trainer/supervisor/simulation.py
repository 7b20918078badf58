"""Supervisors in a simulated world: real coordinators, agents and stop plans; simulated clock, network and processes.

Connections behave as TCP does: messages come in order or not at all, the death of a process breaks its connections, and
a node that is cut off is silent. A dead node's ranks are dead; a rank that is told to stop takes its time.
"""

from __future__ import annotations

import random
import signal
from collections import deque
from dataclasses import dataclass, field

from pretrain_trainer.supervisor.agent import LocalRanks, Start, Stop, StopMode, decide
from pretrain_trainer.supervisor.coordinator import Coordinator, Phase
from pretrain_trainer.supervisor.messages import Directive, NodeReport, RankFailure
from pretrain_trainer.supervisor.stopping import StopPlan

TURN_SECONDS = 0.2
REPORT_SECONDS = 1.0
SILENCE_SECONDS = 3.0
GRACE_SECONDS = 5.0


@dataclass
class Connection:
    """A stream of messages each way."""

    up: deque[tuple[float, NodeReport]] = field(default_factory=deque)
    down: deque[tuple[float, Directive]] = field(default_factory=deque)
    last_heard: float = 0.0
    newest: NodeReport | None = None


@dataclass
class Process:
    """A supervisor process."""

    node_rank: int
    incarnation: str
    coordinator: Coordinator | None = None
    connection: Connection | None = None
    directive: Directive | None = None
    contact: float = float("-inf")
    local: LocalRanks = field(default_factory=LocalRanks)
    plan: StopPlan | None = None
    dies_at: float | None = None
    """When the ranks follow SIGTERM."""
    failures: list[RankFailure] = field(default_factory=list)
    finished: bool = False
    leaving: bool = False
    cut_off: bool = False
    published: int = 0


class World:
    """Everything there is."""

    def __init__(self, num_nodes: int, seed: int, remembers: bool) -> None:
        self.chance = random.Random(seed)
        self.num_nodes = num_nodes
        self.remembers = remembers
        self.now = 0.0
        self.record = 0
        self.running = False
        """Does the record say that a generation runs?"""
        self.processes: list[Process | None] = [None] * num_nodes
        self.zombies: list[Process] = []
        self.names = 0
        self.highest = 0
        for rank in range(num_nodes):
            self.replace(rank)

    def everyone(self) -> list[Process]:
        """Return all processes that live, those that were given up included."""
        return [process for process in self.processes if process is not None] + self.zombies

    def replace(self, rank: int) -> None:
        """Start a supervisor where there is none."""
        if self.processes[rank] is not None:
            return
        self.names += 1
        process = Process(rank, f"incarnation-{self.names}")
        if rank == 0:
            generation = self.record if self.remembers else 0
            process.coordinator = Coordinator(
                process.incarnation, self.num_nodes, generation, lambda: 1, predecessor_died=self.running
            )
        self.processes[rank] = process

    def kill(self, rank: int) -> None:
        """SIGKILL of a supervisor: its ranks die too, its connections break."""
        process = self.processes[rank]
        if process is None:
            return
        self.processes[rank] = None
        self._vanish(process)

    def abandon(self, rank: int) -> None:
        """A node is cut off for ever, and its pod is deleted by force: it lives on, and a replacement may come."""
        process = self.processes[rank]
        if process is None or rank == 0 or not self.remembers:
            return  # only the record tells a new node 0 of nodes that are cut off; two nodes 0 are beyond us
        process.cut_off = True
        self.zombies.append(process)
        self.processes[rank] = None

    def evict(self, rank: int) -> None:
        """SIGTERM of a supervisor."""
        process = self.processes[rank]
        if process is not None:
            process.leaving = True

    def fail(self, rank: int) -> None:
        """A rank of a node fails, without having been told to stop."""
        process = self.processes[rank]
        if process is None or not process.local.live or process.plan is not None or process.failures:
            return
        failure = RankFailure(node_rank=rank, rank=rank, exit_code=70, reason="RankFailed", message="", time=self.now)
        process.failures = [failure]

    def cut(self, rank: int) -> None:
        """A node can't be reached, and nobody is told."""
        process = self.processes[rank]
        if process is not None:
            process.cut_off = True

    def heal(self) -> None:
        """All that is cut off, and not given up, can be reached again."""
        for process in self.processes:
            if process is not None:
                process.cut_off = False

    def live_generations(self) -> set[tuple[str, int]]:
        """Return the generations of which any rank lives."""
        return {(each.local.coordinator, each.local.generation) for each in self.everyone() if each.local.live}

    def all_run(self) -> bool:
        """Do the ranks of all nodes run, in one generation?"""
        running = [each for each in self.processes if each is not None and each.local.live and each.plan is None]
        return len(running) == self.num_nodes and len(self.live_generations()) == 1

    def step(self) -> None:
        """Let a turn pass."""
        self.now += TURN_SECONDS
        processes = self.everyone()
        self.chance.shuffle(processes)
        for process in processes:
            self._deliver(process)
        for process in processes:
            self._turn(process)

    def _turn(self, process: Process) -> None:
        self._ranks_follow(process)
        if process.leaving and not process.local.live:
            if process in self.zombies:
                self.zombies.remove(process)
            else:
                self.processes[process.node_rank] = None
            self._vanish(process)
            return
        report = self._report(process)
        if process.coordinator is not None:
            self._coordinate(process, process.coordinator, report)
        else:
            self._exchange(process, report)
        self._obey(process)

    def _report(self, process: Process) -> NodeReport:
        heard = process.directive
        return NodeReport(
            node_rank=process.node_rank,
            incarnation=process.incarnation,
            sent=self.now,
            coordinator=heard.coordinator if heard else "",
            sequence=heard.sequence if heard else 0,
            generation=process.local.generation,
            live=process.local.live,
            finished=process.finished,
            failures=process.failures,
            leaving=process.leaving,
        )

    def _coordinate(self, process: Process, coordinator: Coordinator, report: NodeReport) -> None:
        coordinator.hear(self.now, report)
        coordinator.advance(self.now)
        if coordinator.phase is Phase.ENDED:
            coordinator.restart(self.now + self.chance.choice([0.0, 1.0]))
        self.record = coordinator.generation
        self.running = self.remembers and coordinator.phase in {Phase.RUNNING, Phase.ENDING}
        process.directive = coordinator.directive
        process.contact = self.now
        if coordinator.directive.sequence != process.published:
            process.published = coordinator.directive.sequence
            for other in self.everyone():
                if other.connection is not None and other.connection.newest is not None:
                    self._send_down(other.connection, coordinator.directive, other.connection.newest.sent)

    def _exchange(self, process: Process, report: NodeReport) -> None:
        head = self.processes[0]
        connection = process.connection
        if connection is not None and self.now - connection.last_heard > SILENCE_SECONDS:
            process.connection = connection = None
        if connection is None:
            if head is None or process.cut_off or head.cut_off or self.chance.random() < 0.5:
                return
            process.connection = connection = Connection(last_heard=self.now)
        connection.up.append((self._arrival(), report))

    def _deliver(self, process: Process) -> None:
        """Give both ends what has arrived."""
        connection, head = process.connection, self.processes[0]
        if connection is None or process.cut_off or head is None or head.cut_off or head.coordinator is None:
            return
        while connection.up and connection.up[0][0] <= self.now:
            report = connection.up.popleft()[1]
            if not head.coordinator.hear(self.now, report):
                process.connection = None
                return
            connection.newest = report
            self._send_down(connection, head.coordinator.directive, report.sent)
        while connection.down and connection.down[0][0] <= self.now:
            directive = connection.down.popleft()[1]
            connection.last_heard = self.now
            known = process.directive
            if known is None or known.coordinator != directive.coordinator or directive.sequence >= known.sequence:
                process.directive = directive
            process.contact = max(process.contact, directive.echo)

    def _send_down(self, connection: Connection, directive: Directive, echo: float) -> None:
        connection.down.append((self._arrival(), directive.model_copy(update={"echo": echo})))

    def _arrival(self) -> float:
        return self.now + self.chance.choice([0.0, 0.1, 0.5, 1.0])

    def _obey(self, process: Process) -> None:
        command = decide(process.directive, self.now - process.contact, process.local, process.leaving)
        if isinstance(command, Start):
            assert command.generation > process.local.generation
            process.local = LocalRanks(command.generation, command.coordinator, True)
            process.failures, process.plan, process.finished, process.dies_at = [], None, False, None
            self.highest = max(self.highest, command.generation)
        elif isinstance(command, Stop):
            self._stop(process, command.mode)

    def _stop(self, process: Process, mode: StopMode) -> None:
        if process.plan is None:
            process.plan = StopPlan.begin(mode, self.now, GRACE_SECONDS)
            obeys = self.chance.random() < 0.5
            process.dies_at = self.now + self.chance.random() * GRACE_SECONDS if obeys else None
        else:
            process.plan.strengthen(mode, self.now)

    def _ranks_follow(self, process: Process) -> None:
        """The ranks die of SIGKILL at once, and of SIGTERM when they like."""
        if process.plan is None or not process.local.live:
            return
        killed = signal.SIGKILL in process.plan.due(self.now)
        if killed or (process.dies_at is not None and self.now >= process.dies_at):
            process.local = LocalRanks(process.local.generation, process.local.coordinator, False)

    def _vanish(self, process: Process) -> None:
        process.local = LocalRanks(process.local.generation, process.local.coordinator, False)
        head = self.processes[0]
        if process.coordinator is not None:
            for other in self.everyone():
                other.connection = None
            return
        known = process.connection is not None and process.connection.newest is not None and not process.cut_off
        if known and head is not None and head.coordinator is not None:
            head.coordinator.disconnect(self.now, process.node_rank, process.incarnation)
