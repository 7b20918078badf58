"""Speed and time of a run."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from pretrain_api.names import LedgerEvent
from pretrain_trainer.ledger import read_events

PEAK_FLOPS: dict[str, float] = {"H200": 989e12, "H100": 989e12, "A100": 312e12}
"""Dense BF16 FLOP/s by the name of the GPU (NVIDIA's data sheets)."""
RECENT_STEPS = 20


def peak_flops(device_name: str) -> float | None:
    """Return an accelerator's peak FLOP/s; None if it isn't known."""
    return next((flops for name, flops in PEAK_FLOPS.items() if name in device_name), None)


@dataclass
class SpeedMeter:
    """Tokens a second over the newest steps."""

    flops_per_token: float
    peak_flops_of_world: float | None
    _recent: deque[tuple[int, float]] = field(default_factory=lambda: deque(maxlen=RECENT_STEPS))

    def add(self, tokens: int, seconds: float) -> None:
        """Take note of a step."""
        self._recent.append((tokens, seconds))

    def reset(self) -> None:
        """Forget the newest steps."""
        self._recent.clear()

    @property
    def tokens_per_second(self) -> float:
        """Speed over the newest steps; the first step after a start counts only while it is alone."""
        recent = list(self._recent)[1:] if len(self._recent) > 1 else list(self._recent)
        return sum(tokens for tokens, _ in recent) / max(1e-9, sum(seconds for _, seconds in recent))

    def utilization(self) -> float | None:
        """Return the model FLOP utilisation; None where the peak isn't known."""
        if self.peak_flops_of_world is None:
            return None
        return round(self.tokens_per_second * self.flops_per_token / self.peak_flops_of_world, 4)


_first_starts: dict[Path, float] = {}


def wall_seconds(ledger: Path) -> float:
    """Return the time since the trainer first started, as the ledger has it; 0 before that."""
    if ledger not in _first_starts:
        starts = (line["time"] for line in read_events(ledger) if line.get("event") == LedgerEvent.START)
        first = next(starts, None)
        if first is None:
            return 0.0
        _first_starts[ledger] = datetime.fromisoformat(first).timestamp()
    return max(0.0, time.time() - _first_starts[ledger])
