"""Documents that overlap with evaluation sets: dropped, or cut."""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from pretrain_api.spec.data import Normalize
from pretrain_api.spec.decontaminate import Decontaminate
from pretrain_dataprep.decontamination.evaluation_sets import NgramTable
from pretrain_dataprep.decontamination.ngrams import ngrams_of
from pretrain_dataprep.dedup.shingles import Scratch
from pretrain_dataprep.kernels.lookup import write_overlaps
from pretrain_dataprep.text.batch import TextBatch
from pretrain_dataprep.text.cuts import LEAST_LEFT_BYTES, merged, without

REASON = "contaminated"


class Decontaminated(NamedTuple):
    """A batch, and what was found in it."""

    batch: TextBatch
    """All documents, with passages cut out of them if that is what is asked for."""
    dropped: np.ndarray
    """bool, shape (documents,)."""
    hits: Counter[str]
    """Documents that overlap with each item, by its location."""
    cut: int
    """Passages cut out of documents that stay."""


class Decontaminator:
    """Finds what documents share with evaluation sets (Brown et al. 2020, appendix C)."""

    def __init__(self, options: Decontaminate, normalize: Normalize) -> None:
        self._table = _table(options, normalize)
        self._cuts = options.action == "cut"

    def check(self, batch: TextBatch) -> Decontaminated:
        """Look at a batch."""
        dropped, hits, cut = np.zeros(len(batch), bool), Counter[str](), 0
        changed: dict[int, bytes] = {}
        for index in np.flatnonzero(self.overlaps(batch)):
            document = batch.document(int(index))
            items, passages = self._passages(document)
            hits.update(items)
            left = without(document, passages) if self._cuts else b""
            dropped[index] = len(left) < LEAST_LEFT_BYTES
            if not dropped[index]:
                changed[int(index)] = left
                cut += len(passages)
        if changed:
            batch = TextBatch.of(changed.get(index, document) for index, document in enumerate(batch.documents()))
        return Decontaminated(batch, dropped, hits, cut)

    def overlaps(self, batch: TextBatch) -> np.ndarray:
        """Return which documents share an n-gram with an evaluation set: bool, shape (documents,)."""
        result, scratch, table = np.zeros(len(batch), bool), Scratch.of(batch), self._table
        grams = np.empty_like(scratch.units)
        write_overlaps(
            batch.text, batch.offsets, table.ngram, table.keys, table.owners, table.bits, *scratch, grams, result
        )
        return result

    def _passages(self, document: bytes) -> tuple[set[str], list[tuple[int, int]]]:
        """Return the locations of the items that a document overlaps with, and the byte ranges where."""
        keys, starts, ends = ngrams_of(document, self._table.ngram)
        owners = self._table.owners_of(keys)
        shared = owners >= 0
        items = {self._table.items[owner] for owner in np.unique(owners[shared])}
        return items, list(merged(zip(starts[shared].tolist(), ends[shared].tolist(), strict=True)))


@lru_cache(maxsize=1)
def _table(options: Decontaminate, normalize: Normalize) -> NgramTable:
    """Read the evaluation sets once for all sources of a work item."""
    return NgramTable.read(options, normalize)
