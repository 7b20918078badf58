"""Random choices that depend on a document's text and the job's seed alone."""

from __future__ import annotations

import hashlib

import numpy as np


def fractions(content_hashes: np.ndarray, seed: int, purpose: str) -> np.ndarray:
    """Return a number in [0, 1) for each document, independent between purposes: float64, shape (documents,).

    Args:
        content_hashes: uint64, shape (documents, 2).
        seed: The job's seed.
        purpose: What the choice is for.
    """
    digest = hashlib.sha256(f"{purpose}:{seed}".encode()).digest()
    key, other_key = (np.frombuffer(digest, np.uint64)[:2]).copy()
    with np.errstate(over="ignore"):
        mixed = _mix(content_hashes[:, 0] ^ key) + _mix(content_hashes[:, 1] ^ other_key)
        mixed = _mix(mixed)
    result: np.ndarray = (mixed >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return result


def _mix(values: np.ndarray) -> np.ndarray:
    """MurmurHash3's 64-bit finalizer."""
    values = (values ^ (values >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    values = (values ^ (values >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
    mixed: np.ndarray = values ^ (values >> np.uint64(33))
    return mixed
