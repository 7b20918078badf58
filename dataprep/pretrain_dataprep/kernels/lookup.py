"""Sets of 64-bit keys, in an open-addressing table behind a filter that fits the processor's cache."""

from __future__ import annotations

import numpy as np

from pretrain_dataprep.compiled import TEXT, compiled, inlined
from pretrain_dataprep.kernels.spans import ngram_keys
from pretrain_dataprep.kernels.words import scan_words


@inlined
def _find(key, keys, owners):
    """Return the slot of `key`, or the empty one where it would be."""
    mask = np.uint64(len(keys) - 1)
    slot = np.int64(key & mask)
    while owners[slot] >= 0 and keys[slot] != key:
        slot = np.int64(np.uint64(slot + 1) & mask)
    return slot


@inlined
def _passes(key, bits):
    place = key >> np.uint64(32)
    word = np.int64((place >> np.uint64(6)) & np.uint64(len(bits) - 1))
    return (bits[word] >> (place & np.uint64(63))) & np.uint64(1) != 0


@compiled("int64(uint64[::1], int32[::1], uint64[::1], int32[::1], uint64[::1])")
def insert(new_keys, new_owners, keys, owners, bits):
    """Add keys with their owners, the first of a key stays; return how many weren't there."""
    added = 0
    for index in range(len(new_keys)):
        key = new_keys[index]
        slot = _find(key, keys, owners)
        if owners[slot] < 0:
            keys[slot] = key
            owners[slot] = new_owners[index]
            added += 1
            place = key >> np.uint64(32)
            word = np.int64((place >> np.uint64(6)) & np.uint64(len(bits) - 1))
            bits[word] |= np.uint64(1) << (place & np.uint64(63))
    return added


@compiled("void(uint64[::1], uint64[::1], int32[::1], int32[::1])")
def look_up(wanted, keys, owners, found):
    """Write the owner of each key, -1 if it isn't there."""
    for index in range(len(wanted)):
        found[index] = owners[_find(wanted[index], keys, owners)]


@compiled(
    f"void({TEXT}, int64[::1], int64, uint64[::1], int32[::1], uint64[::1], uint64[::1], int32[::1], uint8[::1],"
    " uint64[::1], boolean[::1])"
)
def write_overlaps(text, offsets, ngram, keys, owners, bits, words, lengths, kinds, grams, overlaps):
    """Tell which documents have an n-gram of the table."""
    for document in range(len(offsets) - 1):
        count = scan_words(text, offsets[document], offsets[document + 1], words, lengths, kinds)
        overlaps[document] = False
        for gram in range(ngram_keys(words, count, ngram, grams)):
            if _passes(grams[gram], bits) and owners[_find(grams[gram], keys, owners)] >= 0:
                overlaps[document] = True
                break
