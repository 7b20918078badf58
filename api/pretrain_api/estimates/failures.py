"""How often to save, and what failures cost."""

from __future__ import annotations

import math
from dataclasses import dataclass

GPU_HOURS_BETWEEN_FAILURES = 50_677.0
"""Llama 3 405B: 419 unexpected interruptions in 54 days on 16,384 H100 (Dubey et al. 2024, section 3.3.4):
16,384 x 54 x 24 / 419."""


@dataclass(frozen=True)
class FailureRate:
    """Failures that stop the whole job, and what one costs."""

    seconds_between_failures: float
    """Mean time between failures of the job."""
    save_seconds: float
    """Time a checkpoint keeps training waiting."""
    restart_seconds: float
    """Time from a failure to the first step after it, without the work that is done again."""


def young_interval_seconds(save_seconds: float, seconds_between_failures: float) -> float:
    """Return sqrt(2 x save cost x mean time between failures): the best time between checkpoints (Young 1974)."""
    return math.sqrt(2 * save_seconds * seconds_between_failures)


def daly_interval_seconds(save_seconds: float, seconds_between_failures: float) -> float:
    """Return the higher-order optimum (Daly 2006, equation 37)."""
    if save_seconds >= 2 * seconds_between_failures:
        return seconds_between_failures
    ratio = save_seconds / (2 * seconds_between_failures)
    first_order = young_interval_seconds(save_seconds, seconds_between_failures)
    return first_order * (1 + math.sqrt(ratio) / 3 + ratio / 9) - save_seconds


def goodput(interval_seconds: float, rate: FailureRate) -> float:
    """Return the share of the time that makes progress that lasts: 0 … 1.

    The inverse of Daly's expected completion time for exponentially distributed failures (2006):
    interval / (M · e^(R/M) · (e^((interval + save)/M) - 1)), M the mean time between failures, R the restart.
    """
    mean = rate.seconds_between_failures
    lost = (interval_seconds + rate.save_seconds) / mean
    restart = rate.restart_seconds / mean
    if lost + restart > 700:  # beyond the range of exp: nothing would ever be finished
        return 0.0
    return interval_seconds / (mean * math.exp(restart) * math.expm1(lost))
