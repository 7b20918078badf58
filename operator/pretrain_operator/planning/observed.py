"""What an engine sees of a job: all that `plan` knows of the world."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from pretrain_api.names import Component
from pretrain_api.status import PretrainJobStatus
from pretrain_api.wire import StageProgress, TerminationMessage, TrainerProgress


class RunState(StrEnum):
    """State of a work item or of a trainer pod."""

    PENDING = "Pending"
    RUNNING = "Running"
    WAITING = "Waiting"
    """Failed and will be tried again."""
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    """For good, for a work item; a trainer pod that has ended and is to be replaced."""


@dataclass(frozen=True)
class Ending:
    """How a process ended."""

    exit_code: int
    """128 + n after signal n, as shells and Kubernetes count."""
    message: TerminationMessage | None = None
    reason: str | None = None
    """What the engine knows better: OutOfMemory, Evicted, NodeLost."""
    log: str = ""
    """Where its output is: a path, or a command that shows it."""


@dataclass(frozen=True)
class Trouble:
    """Why something that should run doesn't: an image that can't be pulled, a pod that fits nowhere."""

    reason: str
    message: str


@dataclass(frozen=True)
class ItemObservation:
    """One work item of a stage."""

    state: RunState = RunState.PENDING
    failures: int = 0
    """Counted ones."""
    ending: Ending | None = None
    """The newest."""
    progress: StageProgress | None = None
    """The newest of the running process; None: not asked yet, or no answer."""
    trouble: Trouble | None = None


@dataclass(frozen=True)
class StageObservation:
    """A stage's run as it is."""

    configuration: str
    """Of the run that is seen; what belongs to another one doesn't count."""
    items: tuple[ItemObservation, ...]
    unfinished: bool = False
    """Are there processes besides those of running items: some that will begin, or that were told to stop?"""

    @property
    def running(self) -> bool:
        """Does any process work on it?"""
        return any(item.state is RunState.RUNNING for item in self.items)

    @property
    def active(self) -> bool:
        """Does any process of it exist?"""
        return self.unfinished or self.running


@dataclass(frozen=True)
class PodObservation:
    """One trainer pod, or one supervisor."""

    id: str
    """Which life of which pod: another one after each replacement."""
    node_rank: int
    state: RunState
    ending: Ending | None = None
    """Of this life; or, while it runs, of the one before that `id` names."""
    trouble: Trouble | None = None
    node: str = ""
    """The machine it is on, where that is known."""


@dataclass(frozen=True)
class TrainerObservation:
    """The trainer as it is."""

    num_nodes: int = 0
    """What was asked for last; 0: none."""
    pods: tuple[PodObservation, ...] = ()
    progress: TrainerProgress | None = None
    """The newest of rank 0; None: not asked yet. A failing poll keeps the one before."""
    configuration: str | None = None
    """Of the trainer that gave the progress; None: there is never one of another configuration."""
    unfinished: bool = False
    """Are there processes besides those of running pods: some that will begin, or that were told to stop?"""

    @property
    def running(self) -> bool:
        """Does any pod run?"""
        return any(pod.state is RunState.RUNNING for pod in self.pods)

    @property
    def active(self) -> bool:
        """Does any process of it exist?"""
        return self.unfinished or self.running


@dataclass(frozen=True)
class Observed:
    """Everything that an engine has gathered about a job."""

    previous: PretrainJobStatus = field(default_factory=PretrainJobStatus)
    """The status as it was written last."""
    problems: tuple[str, ...] = ()
    """What validation says, one `path: what is wrong; what would be right` each."""
    inputs: str = ""
    """Fingerprint of the listing of the input files, where the engine can see them."""
    missing_outputs: frozenset[Component] = frozenset()
    """Stages whose output is known to be gone from the storage."""
    stages: Mapping[Component, StageObservation] = field(default_factory=dict)
    trainer: TrainerObservation = TrainerObservation()
    completion_marker: bool | None = None
    """Is the trainer's completion marker in the storage? None: the engine can't see the storage."""
