"""MinHash signatures, equal bit for bit to datasketch's for the same hash values, permutation scheme and seed.

The hash values are those of a document's shingles (`dedup.shingles`).
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from pretrain_dataprep.dedup.shingles import Scratch, Shingling
from pretrain_dataprep.kernels.minhash import (
    MERSENNE_PRIME,
    update_affine32,
    update_legacy,
    write_affine32_signatures,
    write_legacy_signatures,
)
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


def signatures(batch: TextBatch, shingling: Shingling, parameters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the signatures of documents and their numbers of shingles.

    Args:
        batch: The documents.
        shingling: Which n-grams.
        parameters: As of `permutations`.

    Returns:
        uint32, shape (documents, permutations); int64, shape (documents,).
    """
    result = np.full((len(batch), parameters.shape[1]), _EMPTY, np.uint32)
    shingles = np.empty(len(batch), np.int64)
    values = np.empty(int(batch.sizes().max(initial=0)) + 1, np.uint32)
    write = write_affine32_signatures if parameters.dtype == np.uint32 else write_legacy_signatures
    scratch = Scratch.of(batch)
    write(
        batch.text,
        batch.offsets,
        shingling.by_word,
        shingling.ngram,
        parameters[0],
        parameters[1],
        *scratch,
        values,
        result,
        shingles,
    )
    return result, shingles
