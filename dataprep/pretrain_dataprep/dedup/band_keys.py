"""The key of each band of a signature: documents that share one are candidates for duplicates."""

from __future__ import annotations

import numpy as np

from pretrain_dataprep.compiled import compiled
from pretrain_dataprep.text.words import mix64


@compiled("void(uint32[:, ::1], int64, int64, uint64[:, ::1])")
def _band_keys(signatures, bands, rows, keys):
    for document in range(len(signatures)):
        for band in range(bands):
            state = mix64(np.uint64(band + 1))
            for row in range(rows):
                state = mix64(state ^ np.uint64(signatures[document, band * rows + row])) + np.uint64(band)
            keys[document, band] = state


def band_keys(signatures: np.ndarray, bands: int, rows: int) -> np.ndarray:
    """Return a 64-bit key of each band of each signature: uint64, shape (documents, bands).

    Equal bands have equal keys; unequal ones collide with a probability of 2⁻⁶⁴ a pair.
    """
    keys = np.empty((len(signatures), bands), np.uint64)
    _band_keys(signatures, bands, rows, keys)
    return keys
