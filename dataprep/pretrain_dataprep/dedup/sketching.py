"""What a document's near-duplicates are found by: a sketch, and keys that similar sketches share."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np

from pretrain_api.spec.dedup import NearDeduplication
from pretrain_dataprep.dedup import minhash, simhash
from pretrain_dataprep.dedup.band_keys import band_keys
from pretrain_dataprep.dedup.banding import choose_bands
from pretrain_dataprep.dedup.shingles import Shingling
from pretrain_dataprep.text.batch import TextBatch


class Sketches(NamedTuple):
    """The sketches of a batch."""

    signatures: np.ndarray
    """uint32, shape (documents, permutations) of MinHash; uint64, shape (documents,) of SimHash."""
    keys: np.ndarray
    """uint64, shape (documents, keys)."""
    has_shingles: np.ndarray
    """bool, shape (documents,): documents without shingles resemble nothing."""
    shingles: tuple[np.ndarray, np.ndarray] | None
    """The sets of shingles, as of `Shingling.sets`, where candidates are to be verified by them."""


class Sketcher(Protocol):
    """Makes sketches."""

    dtype: type[np.generic]
    """Type of a signature's elements."""
    row_shape: tuple[int, ...]
    """Shape of one signature."""
    keeps_shingles: bool
    """Whether the sets of shingles are kept."""

    def sketch(self, batch: TextBatch) -> Sketches:
        """Sketch a batch."""
        ...


def sketcher_of(near: NearDeduplication) -> Sketcher:
    """Return the sketcher that the job asks for."""
    return SimHasher(near) if near.method == "simhash" else MinHasher(near)


class MinHasher:
    """MinHash signatures and the keys of their bands."""

    dtype: type[np.generic] = np.uint32

    def __init__(self, near: NearDeduplication) -> None:
        self._shingling = Shingling(near.ngram, near.unit)
        self._parameters = minhash.permutations(near.permutations, near.scheme, near.seed)
        self._bands, self._rows = choose_bands(near.threshold, near.permutations)
        self.row_shape: tuple[int, ...] = (near.permutations,)
        self.keeps_shingles = near.verify

    def sketch(self, batch: TextBatch) -> Sketches:
        """Sign a batch."""
        signatures, counts = minhash.signatures(batch, self._shingling, self._parameters)
        keys = band_keys(signatures, self._bands, self._rows)
        return Sketches(signatures, keys, counts > 0, self._shingling.sets(batch) if self.keeps_shingles else None)


class SimHasher:
    """SimHashes and the keys of their blocks."""

    dtype: type[np.generic] = np.uint64
    row_shape: tuple[int, ...] = ()
    keeps_shingles = False

    def __init__(self, near: NearDeduplication) -> None:
        self._shingling = Shingling(near.ngram, near.unit)
        self._max_distance = near.max_distance

    def sketch(self, batch: TextBatch) -> Sketches:
        """Sketch a batch."""
        values, counts = simhash.sketches(batch, self._shingling)
        return Sketches(values, simhash.masked_keys(values, self._max_distance), counts > 0, None)
