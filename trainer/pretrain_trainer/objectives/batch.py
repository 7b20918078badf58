"""Batches on the host: arrays by the names that models know."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pretrain_api.objectives import ModelKind, SampleShape
from pretrain_trainer.data.dataset import IGNORED_TARGET

Int64Array = NDArray[np.int64]
Batch = dict[str, Int64Array]
"""By name, of int64[batch, width] where nothing else is said.

A decoder's: `input_ids`; `labels`, the token to predict at each position; and, where the objective has them,
`prefix_lengths` (int64[batch], positions that see each other), `position_ids` and `document_ids`. An encoder's:
`input_ids`, `attention_mask`, `token_type_ids`, `labels` and `sentence_labels` (int64[batch]). An encoder-decoder's:
`input_ids`, `attention_mask`, `labels` and `decoder_input_ids` (both int64[batch, targets]). Labels of positions that
don't count are -100. Networks take them as arguments of these names.
"""


def empty_batch(kind: ModelKind, shape: SampleShape, size: int, pad: int) -> Batch:
    """Return a batch of padding: with all arrays that objectives of this kind fill."""
    wide, targets = (size, shape.inputs), (size, shape.targets)
    batch: Batch = {
        "input_ids": np.full(wide, pad, dtype=np.int64),
        "labels": np.full(targets if kind == "encoder-decoder" else wide, IGNORED_TARGET, dtype=np.int64),
    }
    if kind == "decoder":
        batch["prefix_lengths"] = np.zeros(size, dtype=np.int64)
        return batch
    batch["attention_mask"] = np.zeros(wide, dtype=np.int64)
    if kind == "encoder":
        batch["token_type_ids"] = np.zeros(wide, dtype=np.int64)
        batch["sentence_labels"] = np.full(size, IGNORED_TARGET, dtype=np.int64)
    return batch
