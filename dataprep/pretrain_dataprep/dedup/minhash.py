"""MinHash signatures, equal bit for bit to datasketch's for the same hash values, permutation scheme and seed.

A document's **shingles** are its word n-grams (`text.words` says what a word is); a document with fewer words than n
has one shingle of all of them, one without words has none. The 32-bit hash of a shingle is the upper half of a
polynomial over its words' hashes, mixed by MurmurHash3's finalizer.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from pretrain_dataprep.kernels.minhash import MERSENNE_PRIME, update_affine32, update_legacy, write_signatures
from pretrain_dataprep.text.batch import TextBatch

Scheme = Literal["affine32", "legacy"]

_EMPTY = np.uint32(0xFFFFFFFF)


def permutations(count: int, scheme: Scheme = "affine32", seed: int = 1) -> np.ndarray:
    """Return the parameters (a, b) of the permutations as datasketch draws them.

    Shape (2, count); uint32 for affine32 (a·h + b mod 2³², a odd), uint64 for legacy (lower 32 bits of
    (a·h + b) mod 2⁶¹−1).
    """
    generator = np.random.RandomState(seed)
    if scheme == "legacy":
        prime = int(MERSENNE_PRIME)
        pairs = [
            (generator.randint(1, prime, dtype=np.uint64), generator.randint(0, prime, dtype=np.uint64))
            for _ in range(count)
        ]
        return np.ascontiguousarray(np.array(pairs, np.uint64).T)
    multipliers = generator.randint(0, 1 << 31, count, dtype=np.uint32) * np.uint32(2) + np.uint32(1)
    return np.array([multipliers, generator.randint(0, 1 << 32, count, dtype=np.uint32)])


def signature(hash_values: np.ndarray, parameters: np.ndarray) -> np.ndarray:
    """Return the signature of a set of 32-bit hash values: uint32, shape (permutations,).

    The scheme is that of the parameters: uint32 for affine32, uint64 for legacy. All bits are set for an empty set.
    """
    result = np.full(parameters.shape[1], _EMPTY, np.uint32)
    values = np.ascontiguousarray(hash_values, np.uint32)
    if parameters.dtype == np.uint32:
        update_affine32(values, parameters[0], parameters[1], result)
    else:
        update_legacy(values, parameters[0], parameters[1], result)
    return result


def signatures(batch: TextBatch, ngram: int, parameters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the signatures of documents and their numbers of shingles.

    Args:
        batch: The documents.
        ngram: Words a shingle.
        parameters: As of `permutations` for affine32.

    Returns:
        uint32, shape (documents, permutations); int64, shape (documents,).
    """
    result = np.full((len(batch), parameters.shape[1]), _EMPTY, np.uint32)
    shingles = np.empty(len(batch), np.int64)
    longest = int(batch.sizes().max(initial=0)) + 1
    write_signatures(
        batch.text,
        batch.offsets,
        ngram,
        parameters[0],
        parameters[1],
        np.empty(longest, np.uint64),
        np.empty(longest, np.int32),
        np.empty(longest, np.uint8),
        np.empty(longest, np.uint32),
        result,
        shingles,
    )
    return result, shingles
