"""Tells a rank that works from one that hangs, by the changes of its heartbeat."""

from __future__ import annotations

from dataclasses import dataclass, field

STARTING_BEATS = 4
"""So often a rank may give a sign of life before its first step: begun, job read, model built, checkpoint loaded."""


@dataclass
class Watchdog:
    """Heartbeats of the ranks of one generation on this node; pure, times are of one monotonic clock, in seconds."""

    hang_timeout_seconds: float
    start_timeout_seconds: float
    """Instead, until the rank makes steps."""
    started: float
    _beats: dict[int, tuple[int, float]] = field(default_factory=dict)
    """Local rank to modification time (nanoseconds) and when it was first seen."""
    _counts: dict[int, int] = field(default_factory=dict)
    """Local rank to heartbeats seen; there may have been more."""

    def see(self, now: float, local_rank: int, modified_ns: int) -> None:
        """Take note of a heartbeat file's modification time."""
        beat = self._beats.get(local_rank)
        if beat is None or beat[0] != modified_ns:
            self._beats[local_rank] = (modified_ns, now)
            self._counts[local_rank] = self._counts.get(local_rank, 0) + 1

    def age_seconds(self, now: float, local_rank: int) -> float:
        """Return the time since the last sign of life."""
        beat = self._beats.get(local_rank)
        return now - (beat[1] if beat else self.started)

    def hangs(self, now: float, local_rank: int) -> bool:
        """Has the rank been silent for longer than it may?"""
        starting = self._counts.get(local_rank, 0) <= STARTING_BEATS
        limit = self.start_timeout_seconds if starting else self.hang_timeout_seconds
        return self.age_seconds(now, local_rank) > limit
