"""Candidates for near-duplicates compared: by the shingles they share, or by the bits their SimHashes differ in."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numba.typed import List

from pretrain_api.spec.dedup import NearDeduplication
from pretrain_dataprep.cleaned import CleanedCorpus
from pretrain_dataprep.cleaning.unit_layout import IDS, SHINGLE_ENDS, SHINGLES, SIGNATURES
from pretrain_dataprep.dedup.edges import Candidates, distinct_edges
from pretrain_dataprep.kernels.verification import SHINGLES as SHINGLES_TYPE
from pretrain_dataprep.kernels.verification import connect

MOST_COMPARISONS = 1000
"""Of a member of a bucket with members before it that it isn't connected with."""
_MEMBERS_AT_A_TIME = 1 << 20


def verified_edges(corpus: CleanedCorpus, near: NearDeduplication, found: Candidates) -> np.ndarray:
    """Return pairs of candidates that hang all really similar ones of each bucket together.

    MinHash: Jaccard similarity of their sets of shingles at least the threshold. SimHash: at most `maxDistance`
    different bits. A bucket's members are compared in the order of their identities, so the shards don't matter; one
    that is similar to none of 1,000 others isn't compared with more.

    Returns:
        int64, shape (edges, 2), sorted.
    """
    pieces = [np.empty((0, 2), np.int64)]
    for ids, bucket_ends in _blocks(corpus, found):
        shingles, sets, sketches = _no_shingles(), np.empty((0, 3), np.int64), np.empty(0, np.uint64)
        if near.method == "minhash":
            shingles, sets = _sets(corpus, ids)
        else:
            sketches = _gather(corpus, SIGNATURES, ids).astype(np.uint64)
        pairs = np.empty((len(ids), 2), np.int64)
        count = connect(
            bucket_ends, shingles, sets, near.threshold, sketches, near.max_distance, MOST_COMPARISONS, pairs
        )
        pieces.append(np.sort(ids[pairs[:count]], axis=1))
    return distinct_edges(np.concatenate(pieces))


def _no_shingles() -> List:
    return List.empty_list(SHINGLES_TYPE)


def _blocks(corpus: CleanedCorpus, found: Candidates) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield whole buckets, about 2²⁰ members at a time: ids in the order of their identities, ends of the buckets."""
    starts = np.append(np.flatnonzero(~found.follows), len(found.ids))
    first = 0
    while first < len(starts) - 1:
        last = int(np.searchsorted(starts, starts[first] + _MEMBERS_AT_A_TIME, side="right")) - 1
        last = max(last, first + 1)
        ids = found.ids[starts[first] : starts[last]]
        ends = (starts[first + 1 : last + 1] - starts[first]).astype(np.int64)
        buckets = np.repeat(np.arange(len(ends)), np.diff(ends, prepend=0))
        yield ids[np.lexsort((_gather(corpus, IDS, ids), buckets))], ends
        first = last


def _places(corpus: CleanedCorpus, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return unit (place among all units) and row of each global id."""
    units = np.searchsorted(corpus.first_ids[:-1], ids, side="right") - 1
    return units, ids - corpus.first_ids[units]


def _gather(corpus: CleanedCorpus, name: str, ids: np.ndarray) -> np.ndarray:
    """Return the values of one of the units' arrays, uint64 or int64, for global ids."""
    units, rows = _places(corpus, ids)
    result = np.empty(len(ids), np.uint64)
    for unit in np.unique(units):
        mask = units == unit
        result[mask] = corpus.units[unit].array(name)[rows[mask]]
    return result


def _sets(corpus: CleanedCorpus, ids: np.ndarray) -> tuple[List, np.ndarray]:
    """Map the shingles of the documents' units; what isn't read takes no memory.

    Returns:
        uint32 arrays, one a unit; where each document's shingles are: array, start and end, int64, shape (ids, 3).
    """
    units, rows = _places(corpus, ids)
    mapped, result = _no_shingles(), np.empty((len(ids), 3), np.int64)
    for unit in np.unique(units):
        mask = units == unit
        ends, some = corpus.units[unit].array(SHINGLE_ENDS), rows[mask]
        result[mask, 0] = len(mapped)
        result[mask, 1] = np.where(some > 0, ends[np.maximum(some, 1) - 1], 0)
        result[mask, 2] = ends[some]
        mapped.append(corpus.units[unit].array(SHINGLES).view(np.ndarray))
    return mapped, result
