"""Keys of the bands of MinHash signatures."""

from __future__ import annotations

import numpy as np

from pretrain_dataprep.compiled import compiled
from pretrain_dataprep.kernels.words import mix64


@compiled("void(uint32[:, ::1], int64, int64, uint64[:, ::1])")
def write_band_keys(signatures, bands, rows, keys):
    for document in range(len(signatures)):
        for band in range(bands):
            state = mix64(np.uint64(band + 1))
            for row in range(rows):
                state = mix64(state ^ np.uint64(signatures[document, band * rows + row])) + np.uint64(band)
            keys[document, band] = state
