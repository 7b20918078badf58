"""An n-gram model over words, and the perplexity of documents under it.

The words of `text.words`, each line a sentence between <s> and </s>: 10 to the power of the mean of -log10 p over all
words and line ends, as KenLM's `perplexity` gives it. Probabilities back off as in ARPA files.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pretrain_dataprep.files import json_bytes
from pretrain_dataprep.kernels.perplexity import fill_table, write_perplexities
from pretrain_dataprep.text.batch import TextBatch

KEYS, VALUES, SETTINGS = "ngram-keys.npy", "ngram-values.npy", "ngram-model.json"
_MOST_FULL = 0.7


@dataclass(frozen=True)
class NgramModel:
    """log10 of probabilities and back-off weights in an open-addressing table."""

    order: int
    keys: np.ndarray
    """uint64, shape (slots,), a power of two of them; 0: empty."""
    values: np.ndarray
    """float32, shape (slots, 2): log10 of the probability and of the back-off weight."""
    unknown: float
    """log10 of the probability of a word that the model doesn't know."""

    @classmethod
    def of(cls, order: int, keys: np.ndarray, values: np.ndarray, unknown: float) -> NgramModel:
        """Build one from entries: keys uint64, shape (entries,); values float32, shape (entries, 2)."""
        slots = 16
        while slots * _MOST_FULL < len(keys):
            slots *= 2
        table, filled = np.zeros(slots, np.uint64), np.zeros((slots, 2), np.float32)
        fill_table(keys, np.ascontiguousarray(values, np.float32), table, filled)
        return cls(order, table, filled, unknown)

    def perplexities(self, batch: TextBatch) -> np.ndarray:
        """Return the perplexity of each document: float64, shape (documents,); NaN for one without words."""
        room = int(batch.sizes().max(initial=0)) + 3
        found = np.empty(len(batch))
        write_perplexities(
            batch.text,
            batch.offsets,
            self.order,
            self.keys,
            self.values,
            self.unknown,
            np.empty(room, np.uint64),
            np.empty(room, np.int32),
            np.empty(room, np.uint8),
            found,
        )
        return found

    def save(self, folder: Path) -> list[str]:
        """Write it into a folder; return the names of the files."""
        np.save(folder / KEYS, self.keys)
        np.save(folder / VALUES, self.values)
        (folder / SETTINGS).write_bytes(json_bytes({"order": self.order, "unknown": self.unknown}))
        return [KEYS, VALUES, SETTINGS]

    @classmethod
    def load(cls, folder: Path) -> NgramModel:
        """Map it into memory: processes share it."""
        import json

        settings = json.loads((folder / SETTINGS).read_bytes())
        keys, values = np.load(folder / KEYS, mmap_mode="r"), np.load(folder / VALUES, mmap_mode="r")
        return cls(settings["order"], keys, values, settings["unknown"])
