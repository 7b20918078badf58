"""What a status doesn't say: speeds and times, from one update to the next."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field

from pretrain_api.names import StageState
from pretrain_api.status import PreparationStage, PretrainJobStatus

SPEED_WINDOW_SECONDS = 5.0


@dataclass
class StageClock:
    """One stage as this run sees it."""

    began: float
    ended: float | None = None
    samples: deque[tuple[float, int]] = field(default_factory=deque)
    """Time and documents read, over the window of the speed."""

    def documents_per_second(self) -> float | None:
        """Return the speed over the last seconds, or of the whole stage once it has ended."""
        if len(self.samples) < 2:
            return None
        (first, before), (last, now) = self.samples[0], self.samples[-1]
        return (now - before) / (last - first) if last > first else None

    def seconds(self) -> float:
        """Return how long it runs or ran."""
        return (self.ended or time.monotonic()) - self.began


class Tracker:
    """Clocks of all stages that this run has seen at work."""

    def __init__(self) -> None:
        self.began = time.monotonic()
        self.stages: dict[str, StageClock] = {}

    def update(self, status: PretrainJobStatus) -> None:
        """Take note of a status."""
        for stage in stages_of(status):
            self._update_stage(stage)

    def seconds(self) -> float:
        """Return how long this run has lasted."""
        return time.monotonic() - self.began

    def _update_stage(self, stage: PreparationStage) -> None:
        now = time.monotonic()
        clock = self.stages.get(stage.name)
        if clock is None and stage.state is StageState.RUNNING:
            clock = self.stages[stage.name] = StageClock(now, samples=deque([(now, 0)]))
        if clock is None or clock.ended is not None:
            return
        if stage.state in (StageState.SUCCEEDED, StageState.FAILED):
            clock.ended = now
            clock.samples = deque([(clock.began, 0), (now, stage.documents_in or 0)])
            return
        clock.samples.append((now, stage.documents_in or 0))
        while len(clock.samples) > 2 and now - clock.samples[0][0] > SPEED_WINDOW_SECONDS:
            clock.samples.popleft()


def stages_of(status: PretrainJobStatus) -> list[PreparationStage]:
    """Return the stages of the preparation."""
    return status.data_preparation.stages if status.data_preparation is not None else []
