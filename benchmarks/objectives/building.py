"""Samples as the trainer builds them: from memory-mapped files to arrays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.objectives.corpus import vocabulary
from pretrain_api.objectives import ModelKind
from pretrain_api.spec.objective import Objective
from pretrain_api.wire import Blend
from pretrain_trainer.data.dataset import TrainingData
from pretrain_trainer.data.sample_index import SkipList
from pretrain_trainer.objectives.batch import Batch
from pretrain_trainer.objectives.builder import BatchBuilder
from pretrain_trainer.objectives.reading import TrainingBatches

SEED = 1234


class Batches:
    """The trainer's batches, without skips."""

    def __init__(self, batches: TrainingBatches) -> None:
        self.batches = batches

    @property
    def window(self) -> int:
        """Tokens of text a sample takes."""
        return self.batches.builder.shape.window

    def read_consumed(self, first: int, count: int) -> Batch:
        """Return the samples from the `first`-th on."""
        return self.batches.read_consumed(first, count, SkipList())


def batches_of(blend: Blend, folder: Path, kind: ModelKind, objective: dict[str, Any], length: int) -> Batches:
    """Open a corpus for an objective that is given as in YAML."""
    builder = BatchBuilder(Objective.model_validate(objective), kind, length, vocabulary(), SEED)
    data = TrainingData(blend, folder, length, SEED, builder.shape.window)
    return Batches(TrainingBatches(data, builder))
