"""The key of each band of a signature: documents that share one are candidates for duplicates."""

from __future__ import annotations

import numpy as np

from pretrain_dataprep.kernels.bands import write_band_keys


def band_keys(signatures: np.ndarray, bands: int, rows: int) -> np.ndarray:
    """Return a 64-bit key of each band of each signature: uint64, shape (documents, bands).

    Equal bands have equal keys; unequal ones collide with a probability of 2⁻⁶⁴ a pair.
    """
    keys = np.empty((len(signatures), bands), np.uint64)
    write_band_keys(signatures, bands, rows, keys)
    return keys
