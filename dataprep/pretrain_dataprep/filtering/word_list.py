"""Lists of words and phrases, and how often they occur in documents."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pretrain_dataprep.kernels.phrases import count_phrases, phrase_key
from pretrain_dataprep.text.batch import TextBatch
from pretrain_dataprep.text.words import words_of


@dataclass(frozen=True)
class WordList:
    """Hashes of phrases: runs of words, compared in lower case."""

    phrases: np.ndarray
    """uint64, shape (phrases,), sorted."""
    longest: int
    """Words of the longest phrase."""

    @classmethod
    def of(cls, lines: Iterable[str]) -> WordList:
        """Make one of lines; those without a word say nothing."""
        words = [hashes for hashes in (words_of(line)[0] for line in lines) if len(hashes)]
        phrases = np.unique(np.array([phrase_key(hashes) for hashes in words], np.uint64))
        return cls(phrases, max(map(len, words), default=0))

    def counts(self, batch: TextBatch) -> np.ndarray:
        """Return how many listed phrases are in each document: int64, shape (documents,)."""
        room = int(batch.sizes().max(initial=0)) + 1
        counts = np.empty(len(batch), np.int64)
        count_phrases(
            batch.text,
            batch.offsets,
            np.empty(room, np.uint64),
            np.empty(room, np.int32),
            np.empty(room, np.uint8),
            self.phrases,
            self.longest,
            counts,
        )
        return counts

    def save(self, path: Path) -> None:
        """Write it as .npy, the length of the longest phrase last."""
        with path.open("wb") as file:
            np.save(file, np.append(self.phrases, np.uint64(self.longest)))

    @classmethod
    def load(cls, path: Path) -> WordList:
        """Read it."""
        values = np.load(path)
        return cls(np.ascontiguousarray(values[:-1]), int(values[-1]))
