"""Keys of the bands of MinHash signatures and of the blocks of SimHashes."""

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


@compiled("void(uint64[::1], uint64[::1], uint64[:, ::1])")
def write_masked_keys(sketches, masks, keys):
    for document in range(len(sketches)):
        for table in range(len(masks)):
            keys[document, table] = mix64(mix64(np.uint64(table + 1)) ^ (sketches[document] & masks[table]))
