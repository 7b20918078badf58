"""Follows the progress of rank 0 through the generations: where training is, and whether a generation made a step."""

from __future__ import annotations

from pretrain_api.wire import TrainerProgress
from pretrain_trainer.supervisor.goodput import StepClock, UsefulTime


class ProgressTracker:
    """What rank 0 has said, also after its generation is over."""

    def __init__(self, useful: UsefulTime) -> None:
        self.newest: TrainerProgress | None = None
        """Of this or an earlier generation."""
        self.made_step = False
        """Has this generation made a step?"""
        self._baseline: int | None = None
        self._in_generation = False
        self._clock = StepClock(useful)

    def begin(self) -> None:
        """A new generation starts."""
        self.made_step = False
        self._baseline = None
        self._in_generation = False
        self._clock.pause()

    def see(self, now: float, progress: TrainerProgress) -> None:
        """Take note of what rank 0 of this generation says."""
        self._in_generation = True
        self.newest = progress
        step = progress.training.step
        if step is None:
            return
        if self._baseline is None:
            latest = progress.checkpoints.latest
            # Rank 0 writes its progress now and then only, so that the first step we see needn't be the first it made.
            self._baseline = min(step, latest.step if latest else 0)
        self.made_step = self.made_step or step > self._baseline
        self._clock.observe(now, step)

    @property
    def of_this_generation(self) -> TrainerProgress | None:
        """The newest progress, if this generation has given any."""
        return self.newest if self._in_generation else None
