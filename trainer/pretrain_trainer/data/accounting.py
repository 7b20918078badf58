"""What a run has seen of each source: counted from the sample index, not kept in step with training.

The consumed sequences are those of the indices below a bound, without the skipped ones. So the counts are a pure
function of (seed, blend, consumed sequences, skip list), which restarts, rollbacks, batch stages and changes of the
world size can't put out of step.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from pretrain_api.status import SourceSeen
from pretrain_trainer.data.dataset import TrainingData
from pretrain_trainer.data.sample_index import Int64Array, SkipList


class Accounting:
    """Counts what was seen by source."""

    def __init__(self, data: TrainingData, sequence_length: int) -> None:
        """Take the data of a run.

        Args:
            data: The training sequences.
            sequence_length: Tokens by which a sequence counts.
        """
        self._names = data.source_names
        self._windows = {number: order.num_windows for number, order in data.orders.items()}
        self._sequence_length = sequence_length
        # Skipped ranges are asked for again and again.
        self._uses_before = lru_cache(maxsize=256)(data.index.uses_before)

    def uses(self, consumed: int, skips: SkipList) -> Int64Array:
        """Return how often each source was used by the first `consumed` consumed sequences, int64[sources]."""
        end = int(skips.index_of(np.array([consumed - 1]))[0]) + 1 if consumed else 0
        uses = self._uses_before(end).copy()
        for first, last in skips.ranges:
            if last <= end:
                uses -= self._uses_before(last) - self._uses_before(first)
        return uses

    def seen(self, consumed: int, skips: SkipList) -> list[SourceSeen]:
        """Return what the first `consumed` consumed sequences had of each source with a weight, in the blend's order.

        An epoch of a source is as many sequences as it has windows.
        """
        uses = self.uses(consumed, skips)
        return [
            SourceSeen(
                name=self._names[number],
                sequences=int(uses[number]),
                tokens=int(uses[number]) * self._sequence_length,
                epochs=round(int(uses[number]) / windows, 4),
            )
            for number, windows in self._windows.items()
        ]
