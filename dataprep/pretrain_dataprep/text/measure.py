"""Measures documents (`metrics` says what)."""

from __future__ import annotations

import numpy as np

from pretrain_dataprep.kernels.metrics import write_metrics
from pretrain_dataprep.text.batch import TextBatch
from pretrain_dataprep.text.metrics import Metric
from pretrain_dataprep.text.words import words_of

STOP_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with")
"""English stop words of Gopher (Rae et al. 2021, appendix A1.1)."""

_STOP_WORD_HASHES = np.array([words_of(word)[0][0] for word in STOP_WORDS])


def measure(batch: TextBatch, repetition: bool, gopher_repetition: bool) -> np.ndarray:
    """Return the metrics of each document: float64, shape (documents, len(Metric)); NaN where not asked for.

    Args:
        batch: The documents.
        repetition: Whether DUPLICATE_NGRAM_FRACTION is wanted.
        gopher_repetition: Whether the metrics from DUPLICATE_LINE_FRACTION on are wanted.
    """
    metrics = np.full((len(batch), len(Metric)), np.nan)
    longest = int(batch.sizes().max(initial=0)) + 1
    write_metrics(
        batch.text,
        batch.offsets,
        _STOP_WORD_HASHES,
        np.empty(longest, np.uint64),
        np.empty(longest, np.int32),
        np.empty(longest, np.uint8),
        repetition,
        gopher_repetition,
        metrics,
    )
    return metrics
