"""Where training is."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pretrain_api.schedule import BatchSchedule


@dataclass(frozen=True)
class Position:
    """Steps done and sequences consumed; skipped sequences aren't consumed."""

    step: int
    sequences: int
    sequence_length: int

    @property
    def tokens(self) -> int:
        """Consumed tokens."""
        return self.sequences * self.sequence_length

    def advance(self, batch_sequences: int) -> Position:
        """Return the position after a step."""
        return replace(self, step=self.step + 1, sequences=self.sequences + batch_sequences)

    @staticmethod
    def at_step(schedule: BatchSchedule, step: int) -> Position:
        """Return the position after `step` steps."""
        return Position(step, schedule.sequences_after(step), schedule.sequence_length)
