"""Counting of listed words and phrases in documents."""

from __future__ import annotations

import numpy as np

from pretrain_dataprep.compiled import TEXT, compiled
from pretrain_dataprep.kernels.words import mix64, scan_words

_NEXT = np.uint64(0x9E3779B97F4A7C15)


@compiled(
    f"void({TEXT}, int64[::1], uint64[::1], int32[::1], uint8[::1], uint64[::1], int64, int64[::1])",
)
def count_phrases(text, offsets, hashes, lengths, kinds, phrases, longest, counts):
    """Write how many phrases of at most `longest` words begin in each document; `phrases` are sorted hashes."""
    for document in range(len(offsets) - 1):
        words = scan_words(text, offsets[document], offsets[document + 1], hashes, lengths, kinds)
        count = 0
        for first in range(words):
            key = np.uint64(0)
            for word in range(first, min(first + longest, words)):
                key = mix64(key * _NEXT + hashes[word])
                place = np.searchsorted(phrases, key)
                count += place < len(phrases) and phrases[place] == key
        counts[document] = count


@compiled("uint64(uint64[::1])")
def phrase_key(hashes):
    """Return the hash of a phrase from those of its words."""
    key = np.uint64(0)
    for word in range(len(hashes)):
        key = mix64(key * _NEXT + hashes[word])
    return key
