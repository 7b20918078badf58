"""What the operator remembers of a job between two looks. All of it may get lost: it is seen or written again."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from pretrain_api.spec.job import PretrainJob
from pretrain_api.status import PretrainJobStatus
from pretrain_api.wire import StageProgress, TrainerProgress
from pretrain_operator.kubernetes.observing import PodView

KEPT_VERSIONS = 8
"""So many writes may be on their way back as events."""


@dataclass
class JobMemory:
    """One job, as this process knows it."""

    uid: str
    job: PretrainJob | None = None
    """As parsed from `parsed_from`; None: it isn't valid."""
    problems: tuple[str, ...] = ()
    parsed_from: tuple[int, str] | None = None
    """Generation, and the annotations that are read."""
    status: PretrainJobStatus | None = None
    """As this process wrote it last."""
    status_written: float = 0.0
    """Monotonic time of that."""
    finalizer: bool = False
    written: deque[str] = field(default_factory=lambda: deque(maxlen=KEPT_VERSIONS))
    """Resource versions of the job that are this process's own writes: their events tell nothing new."""
    applied: dict[str, str] = field(default_factory=dict)
    """Hash of what was applied, by kind/name."""
    deleted: set[str] = field(default_factory=set)
    """Uids of Jobs and StatefulSets that this process deleted, until they are gone."""
    departed: dict[str, PodView] = field(default_factory=dict)
    """Pods that are gone, by uid, until the plan has seen how they ended."""
    progress: dict[str, StageProgress | TrainerProgress] = field(default_factory=dict)
    """Newest answers, by pod uid."""
    warnings: dict[str, str] = field(default_factory=dict)
    """Newest Warning events about what is stuck, by uid."""
    warnings_fetched: dict[str, float] = field(default_factory=dict)
    refused: str = ""
    """What the API server said to the newest request that it refused for good."""
    polled: float = 0.0
    failures: int = 0
    """Looks in a row that failed."""

    def child_gone(self, uid: str) -> None:
        """A Job, StatefulSet or claim is gone: whatever is missing is made again, unless it had to go."""
        if uid in self.deleted:
            self.deleted.discard(uid)
        else:
            self.applied.clear()


class Memories:
    """What is remembered of all jobs."""

    def __init__(self) -> None:
        self._jobs: dict[tuple[str, str], JobMemory] = {}

    def of(self, key: tuple[str, str], uid: str) -> JobMemory:
        """Return what is remembered of a job; another life of the same name is another job."""
        memory = self._jobs.get(key)
        if memory is None or memory.uid != uid:
            memory = self._jobs[key] = JobMemory(uid)
        return memory

    def get(self, key: tuple[str, str]) -> JobMemory | None:
        """Return what is remembered, if anything is."""
        return self._jobs.get(key)

    def forget(self, key: tuple[str, str]) -> None:
        """The job is gone."""
        self._jobs.pop(key, None)

    def items(self) -> list[tuple[tuple[str, str], JobMemory]]:
        """Return all of it."""
        return list(self._jobs.items())
