"""Pairs of documents whose word 5-grams have a chosen Jaccard similarity."""

from __future__ import annotations

import numpy as np

from pretrain_dataprep.dedup.shingles import Shingling, jaccard
from pretrain_dataprep.text.batch import TextBatch

SHINGLING = Shingling(5, "word")
SIMILARITIES = (0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
_WORDS = 400


def planted_pair(generator: np.random.Generator, similarity: float) -> tuple[str, str]:
    """Return two documents: the second is the first with words changed here and there, until they are less alike.

    With c of their n shingles changed the two have a similarity of (n − c) / (n + c).
    """
    words = [f"w{number}" for number in generator.integers(0, 1 << 40, _WORDS)]
    other = list(words)
    shingles = _WORDS - 4
    to_change = round(shingles * (1 - similarity) / (1 + similarity))
    changed: set[int] = set()
    for place in generator.permutation(_WORDS):
        touched = set(range(max(0, place - 4), min(place, shingles - 1) + 1))
        if len(changed | touched) <= to_change + 1:
            changed |= touched
            other[place] = f"x{generator.integers(0, 1 << 40)}"
    return " ".join(words), " ".join(other)


def true_similarities(texts: list[tuple[str, str]]) -> np.ndarray:
    """Return the Jaccard similarity of each pair: float64, shape (pairs,)."""
    values, ends = SHINGLING.sets(TextBatch.of(text.encode() for pair in texts for text in pair))
    sets = np.split(values, ends[:-1])
    return np.array([jaccard(one, other) for one, other in zip(sets[::2], sets[1::2], strict=True)])
