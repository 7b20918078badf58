"""Goodput: useful training time / time since the trainer first started.

Useful is the time spent on steps that still count: what is done again after a restart or a rollback counts once. So we
keep the useful time as a function of the step, and cut it back wherever the step goes back.
"""

from __future__ import annotations

from pydantic import Field

from pretrain_api.status import StatusModel

_MAX_POINTS = 512


class UsefulTime(StatusModel):
    """Useful seconds by step: a piecewise linear function through `points`, both coordinates growing."""

    points: list[tuple[int, float]] = Field(default_factory=lambda: [(0, 0.0)])

    @property
    def seconds(self) -> float:
        """Useful time up to the newest step."""
        return self.points[-1][1]

    def advance(self, step: int, elapsed_seconds: float) -> None:
        """Training went on from the newest point to `step`, in `elapsed_seconds`."""
        last_step, last_seconds = self.points[-1]
        if step <= last_step:
            return
        self.points.append((step, last_seconds + elapsed_seconds))
        if len(self.points) > _MAX_POINTS:
            self.points = [*self.points[:-1:2], self.points[-1]]

    def go_back(self, step: int) -> None:
        """Training was set back to `step`."""
        while len(self.points) > 1 and self.points[-2][0] >= step:
            self.points.pop()
        (last_step, last_seconds) = self.points[-1]
        if last_step <= step or len(self.points) < 2:
            return
        (before_step, before_seconds) = self.points[-2]
        share = (step - before_step) / (last_step - before_step)
        self.points[-1] = (step, before_seconds + share * (last_seconds - before_seconds))


class StepClock:
    """Turns observations of the step into useful time. One generation at a time: `pause` between them."""

    def __init__(self, useful: UsefulTime) -> None:
        self._useful = useful
        self._last: tuple[float, int] | None = None

    def pause(self) -> None:
        """The ranks are gone; time doesn't count until a step is seen again."""
        self._last = None

    def observe(self, now: float, step: int) -> None:
        """Take note that training is at `step` at the monotonic time `now`, in seconds."""
        last, self._last = self._last, (now, step)
        if last is None or step < last[1]:
            self._useful.go_back(step)
        elif step > last[1]:
            self._useful.advance(step, now - last[0])
        else:
            self._last = last  # the time runs on from when this step was first seen
