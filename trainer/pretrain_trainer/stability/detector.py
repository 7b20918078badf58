"""Noticing when training goes wrong: robust statistics of loss and gradient norm.

A reading is compared with what the last accepted readings lead to expect. The baseline is the median of the newest few;
the spread is that of the differences between neighbours, which a falling loss hardly changes, as 1.4826 * MAD / sqrt(2)
(MAD: median absolute deviation; 1.4826 makes it a standard deviation for normal noise). What is flagged isn't
accepted, so a spike can't become the new normal. The gradient norm is judged by its logarithm.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections import deque
from dataclasses import dataclass
from typing import Any

from pretrain_api.names import Reason
from pretrain_api.spec.training import Spike

MAD_TO_DEVIATION = 1.4826
BASELINE_READINGS = 16
"""Accepted readings whose median is the baseline."""
LEAST_RELATIVE_SPREAD = 0.005
"""Spread of the loss, relative to the baseline, below which differences don't count: a quiet stretch isn't a
standard."""
LEAST_LOG_SPREAD = 0.05
"""The same for the logarithm of the gradient norm."""
LEAST_LOSS_RISE = 0.1
"""Least rise of the loss, relative to the baseline, that can be a spike."""
LEAST_NORM_RISE = math.log(8.0)
"""Least rise of the gradient norm that can be a spike: it jumps by small factors all the time, and clipping bounds what
that does."""
ONSET_DEVIATIONS = 3.0
"""Deviations from the baseline from which a reading before the flagged one counts as part of the rise."""
ONSET_READINGS = 16
"""How far back the rise is looked for."""


@dataclass(frozen=True)
class Judgement:
    """What the detector makes of a step.

    Attributes:
        flagged: Whether something is wrong.
        reason: LossSpike, GradientSpike or NonFinite; empty if nothing is.
        baseline: The loss that was expected; NaN before there is one.
        deviation: Distance from the baseline in deviations; infinite for what isn't finite.
        onset_step: First step of the rise; the step itself if nothing is wrong.
    """

    flagged: bool
    reason: str
    baseline: float
    deviation: float
    onset_step: int


class Signal:
    """The accepted values of one quantity, newest last."""

    def __init__(self, window: int, least_spread: float, relative: bool) -> None:
        self.values: deque[float] = deque(maxlen=window)
        self._least_spread = least_spread
        self._relative = relative

    def baseline(self) -> float:
        """Return the expected value; NaN before the first one."""
        newest = list(self.values)[-BASELINE_READINGS:]
        return statistics.median(newest) if newest else math.nan

    def spread(self) -> float:
        """Return the standard deviation of the noise, robustly."""
        values = list(self.values)
        floor = self._least_spread * (abs(self.baseline()) if self._relative else 1.0)
        if len(values) < 3:
            return floor
        differences = [after - before for before, after in itertools.pairwise(values)]
        middle = statistics.median(differences)
        absolute = statistics.median(abs(difference - middle) for difference in differences)
        return max(floor, MAD_TO_DEVIATION * absolute / math.sqrt(2))

    def deviation(self, value: float) -> float:
        """Return how far above the baseline a value is, in deviations; 0 before there is a baseline."""
        return (value - self.baseline()) / self.spread() if self.values else 0.0


class SpikeDetector:
    """Judges one step after the other. Pure: the same readings give the same judgements on every rank."""

    def __init__(self, settings: Spike) -> None:
        self.settings = settings
        self.accepted_steps = 0
        self.clean_streak = 0
        """Clean steps in a row until now."""
        self.losses = Signal(settings.window, LEAST_RELATIVE_SPREAD, relative=True)
        self.norms = Signal(settings.window, LEAST_LOG_SPREAD, relative=False)
        self._recent: deque[tuple[int, float]] = deque(maxlen=ONSET_READINGS)
        self._flagged_streak = 0
        self._streak_before_flags = 0

    def observe(self, step: int, loss: float, gradient_norm: float | None) -> Judgement:
        """Judge the reading of a step and, if it is clean, learn from it.

        Args:
            step: The step.
            loss: Mean over the whole batch.
            gradient_norm: Global norm before clipping; None where it says nothing (FP16 looks for its loss scale).
        """
        judgement = self._judge(step, loss, gradient_norm)
        if judgement.flagged:
            if self.clean_streak:
                self._streak_before_flags = self.clean_streak
            self.clean_streak = 0
            self._flagged_streak += 1
            self._recent.append((step, loss if math.isfinite(loss) else math.inf))
        else:
            self._accept(step, loss, gradient_norm)
        return judgement

    def _judge(self, step: int, loss: float, gradient_norm: float | None) -> Judgement:
        baseline = self.losses.baseline()
        if not (math.isfinite(loss) and math.isfinite(gradient_norm or 0.0)):
            return Judgement(True, Reason.NON_FINITE, baseline, math.inf, self._onset(step, baseline))
        if self.accepted_steps < self.settings.warmup_steps or len(self.losses.values) < BASELINE_READINGS:
            return Judgement(False, "", baseline, 0.0, step)
        loss_deviation = self.losses.deviation(loss)
        if loss_deviation > self.settings.threshold and loss - baseline > LEAST_LOSS_RISE * abs(baseline):
            return Judgement(True, Reason.LOSS_SPIKE, baseline, loss_deviation, self._onset(step, baseline))
        norm_deviation = self._norm_deviation(gradient_norm)
        if norm_deviation > self.settings.threshold:
            return Judgement(True, Reason.GRADIENT_SPIKE, baseline, norm_deviation, self._onset(step, baseline))
        return Judgement(False, "", baseline, loss_deviation, step)

    def _norm_deviation(self, gradient_norm: float | None) -> float:
        """Return how far above its baseline the logarithm of the norm is, in deviations; 0 for small rises."""
        if gradient_norm is None or not self.norms.values:
            return 0.0
        rise = _log(gradient_norm) - self.norms.baseline()
        return rise / self.norms.spread() if rise > LEAST_NORM_RISE else 0.0

    def _onset(self, step: int, baseline: float) -> int:
        """Return the first of the steps up to `step`, without a gap, whose loss was flagged or already on its way
        up."""
        limit = baseline + ONSET_DEVIATIONS * self.losses.spread()
        onset = step
        for earlier, loss in reversed(self._recent):
            if loss <= limit or earlier != onset - 1:
                break
            onset = earlier
        return onset

    def _accept(self, step: int, loss: float, gradient_norm: float | None) -> None:
        self.accepted_steps += 1
        self.clean_streak += 1
        self._flagged_streak = 0
        self._recent.append((step, loss))
        self.losses.values.append(loss)
        if gradient_norm is not None:
            self.norms.values.append(_log(gradient_norm))

    @property
    def flagged_streak(self) -> int:
        """Flagged steps in a row until now."""
        return self._flagged_streak

    def clean_streak_before(self, onset_step: int, step: int) -> int:
        """Return how many clean steps in a row ended just before the onset of a spike.

        Args:
            onset_step: First step of the spike.
            step: The flagged step that was observed last.
        """
        first_flagged_step = step - self._flagged_streak + 1
        return max(0, self._streak_before_flags - (first_flagged_step - onset_step))

    def accept_new_level(self) -> None:
        """Forget the baseline: what looked like a spike has lasted too long to be one."""
        self.losses.values.clear()
        self.norms.values.clear()
        self._flagged_streak = 0

    def state_dict(self) -> dict[str, Any]:
        """Return the state, as JSON has it."""
        return {
            "acceptedSteps": self.accepted_steps,
            "cleanStreak": self.clean_streak,
            "flaggedStreak": self._flagged_streak,
            "streakBeforeFlags": self._streak_before_flags,
            "losses": list(self.losses.values),
            "logNorms": list(self.norms.values),
            "recent": [[step, loss if math.isfinite(loss) else None] for step, loss in self._recent],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state that was saved; from the beginning if it is empty."""
        self.accepted_steps = state.get("acceptedSteps", 0)
        self.clean_streak = state.get("cleanStreak", 0)
        self._flagged_streak = state.get("flaggedStreak", 0)
        self._streak_before_flags = state.get("streakBeforeFlags", 0)
        for signal, key in ((self.losses, "losses"), (self.norms, "logNorms")):
            signal.values.clear()
            signal.values.extend(state.get(key, []))
        self._recent.clear()
        self._recent.extend((step, math.inf if loss is None else loss) for step, loss in state.get("recent", []))


def _log(gradient_norm: float) -> float:
    return math.log(max(gradient_norm, 1e-30))
