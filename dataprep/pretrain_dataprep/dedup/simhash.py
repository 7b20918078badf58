"""SimHash sketches (Charikar 2002) and the keys that find those of few different bits (Manku et al. 2007, section 3).

Bit i of a sketch is set if it is set in more than half of the hashes of the document's shingles. To find all sketches
within k bits the 64 bits are cut into k + 3 blocks: two that differ in at most k bits agree on some three whole blocks,
so there is a key for each choice of three blocks. What shares a key is compared bit by bit.
"""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np

from pretrain_dataprep.dedup.shingles import Scratch, Shingling
from pretrain_dataprep.kernels.bands import write_masked_keys
from pretrain_dataprep.kernels.shingles import write_simhashes
from pretrain_dataprep.text.batch import TextBatch

BITS = 64
_BLOCKS_A_KEY = 3


def sketches(batch: TextBatch, shingling: Shingling) -> tuple[np.ndarray, np.ndarray]:
    """Return SimHashes, uint64, shape (documents,), and numbers of shingles, int64, shape (documents,)."""
    result, shingles = np.empty(len(batch), np.uint64), np.empty(len(batch), np.int64)
    values = np.empty(int(batch.sizes().max(initial=0)) + 1, np.uint32)
    scratch = Scratch.of(batch)
    write_simhashes(batch.text, batch.offsets, shingling.by_word, shingling.ngram, *scratch, values, result, shingles)
    return result, shingles


def masks(max_distance: int) -> np.ndarray:
    """Return the bits that each key is made of: uint64, shape (keys,)."""
    blocks = max_distance + _BLOCKS_A_KEY
    edges = [BITS * block // blocks for block in range(blocks + 1)]
    parts = [(1 << high) - (1 << low) for low, high in pairwise(edges)]
    return np.array([sum(chosen) for chosen in combinations(parts, _BLOCKS_A_KEY)], np.uint64)


def masked_keys(values: np.ndarray, max_distance: int) -> np.ndarray:
    """Return the keys of sketches: uint64, shape (documents, keys)."""
    chosen = masks(max_distance)
    keys = np.empty((len(values), len(chosen)), np.uint64)
    write_masked_keys(values, chosen, keys)
    return keys
