"""Batches of training and validation: windows of the data, made into samples."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pretrain_trainer.data.dataset import TrainingData, ValidationData
from pretrain_trainer.data.sample_index import SkipList
from pretrain_trainer.objectives.batch import Batch
from pretrain_trainer.objectives.builder import BatchBuilder

_VALIDATION = 1 << 62  # sample indices of validation, far from those of training


class TrainingBatches:
    """Batches of training by consumed sequences."""

    def __init__(self, data: TrainingData, builder: BatchBuilder) -> None:
        self.data, self.builder = data, builder

    def read_consumed(self, first: int, count: int, skips: SkipList) -> Batch:
        """Return the samples of the `first`-th to (`first` + `count` - 1)-th consumed sequences."""
        index = skips.index_of(np.arange(first, first + count, dtype=np.int64))
        partners = self.data.read_partners(index) if self.builder.needs_partners else None
        return self.builder.build(index, self.data.read(index), partners=partners)


class ValidationBatches:
    """Batches of validation: the same samples in each evaluation."""

    def __init__(self, data: ValidationData, builder: BatchBuilder) -> None:
        self.data, self.builder = data, builder

    def read(self, source: str, size: int, rank: int, world_size: int) -> Iterator[Batch]:
        """Yield this rank's share of a source, `size` samples at most at a time; all ranks yield equally often."""
        for windows in self.data.windows(source, size, rank, world_size):
            partners = self.data.read_partners(source, windows) if self.builder.needs_partners else None
            yield self.builder.build(_VALIDATION + windows.index, windows.rows, windows.lengths, partners)
