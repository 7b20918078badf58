"""Hashes of the n-grams of documents; `dedup.shingles` says what they are."""

from __future__ import annotations

import numpy as np

from pretrain_dataprep.compiled import TEXT, compiled, inlined
from pretrain_dataprep.kernels.words import ASCII_CLASSES, SPACE, character_class, decode, lower, mix64, scan_words

POLYNOMIAL = np.uint64(0x9E3779B97F4A7C15)


@inlined
def _scan_characters(text, start, end, hashes):
    """Write a hash of each character of text[start:end]: lower case, a run of spaces as one. Returns how many."""
    count = 0
    after_space = True
    position = start
    while position < end:
        first = text[position]
        if first < 128:
            code = np.int64(first)
            width = 1
            is_space = ASCII_CLASSES[first] == SPACE
            if 65 <= code <= 90:
                code += 32
        else:
            code, width = decode(text, position, end)
            is_space = character_class(code) == SPACE
            code = lower(code)
        if not is_space:
            hashes[count] = mix64(np.uint64(code))
            count += 1
        elif not after_space:
            hashes[count] = mix64(np.uint64(32))
            count += 1
        after_space = is_space
        position += width
    return count - 1 if count > 0 and after_space else count


@inlined
def _ngram_hashes(units, count, ngram, out):
    """Write the 32-bit hashes of the n-grams of `count` hashes; return how many."""
    if count == 0:
        return 0
    length = min(ngram, count)
    power = np.uint64(1)
    state = np.uint64(0)
    for unit in range(length):
        state = state * POLYNOMIAL + units[unit]
        if unit > 0:
            power *= POLYNOMIAL
    out[0] = np.uint32(mix64(state) >> np.uint64(32))
    for unit in range(length, count):
        state = (state - units[unit - length] * power) * POLYNOMIAL + units[unit]
        out[unit - length + 1] = np.uint32(mix64(state) >> np.uint64(32))
    return count - length + 1


@inlined
def document_shingles(text, start, end, by_word, ngram, units, lengths, kinds, out):
    """Write the 32-bit hashes of the shingles of text[start:end]; return how many.

    The arrays need room for one unit a byte.
    """
    if by_word:
        count = scan_words(text, start, end, units, lengths, kinds)
    else:
        count = _scan_characters(text, start, end, units)
    return _ngram_hashes(units, count, ngram, out)


@compiled(
    f"void({TEXT}, int64[::1], boolean, int64, uint64[::1], int32[::1], uint8[::1], uint32[::1], int64[::1])",
)
def write_shingles(text, offsets, by_word, ngram, units, lengths, kinds, out, ends):
    """Write the shingles of all documents one after the other, and where each document's end."""
    size = 0
    for document in range(len(offsets) - 1):
        start, end = offsets[document], offsets[document + 1]
        size += document_shingles(text, start, end, by_word, ngram, units, lengths, kinds, out[size:])
        ends[document] = size


@inlined
def _distinct(values, start, end, out, size):
    """Write the distinct values of the sorted values[start:end] from out[size] on; return where they end."""
    first = size
    for index in range(start, end):
        if size == first or values[index] != out[size - 1]:
            out[size] = values[index]
            size += 1
    return size


@compiled("int64(uint32[::1], int64[::1], int64[::1])")
def keep_distinct(values, ends, distinct_ends):
    """Move the distinct values of each sorted part of `values` to the front; return how many are left."""
    size = start = 0
    for document in range(len(ends)):
        size = _distinct(values, start, ends[document], values, size)
        distinct_ends[document] = size
        start = ends[document]
    return size


@compiled(
    f"void({TEXT}, int64[::1], boolean, int64, uint64[::1], int32[::1], uint8[::1], uint32[::1], uint64[::1],"
    " int64[::1])"
)
def write_simhashes(text, offsets, by_word, ngram, units, lengths, kinds, values, result, shingles):
    """Write the 64-bit SimHash of each document: bit i is the majority of bit i of its shingles' hashes."""
    weights = np.zeros(64, np.int64)
    for document in range(len(offsets) - 1):
        start, end = offsets[document], offsets[document + 1]
        count = document_shingles(text, start, end, by_word, ngram, units, lengths, kinds, values)
        shingles[document] = count
        weights[:] = 0
        for index in range(count):
            feature = mix64(np.uint64(values[index]) + POLYNOMIAL)
            for bit in range(64):
                weights[bit] += np.int64((feature >> np.uint64(bit)) & np.uint64(1))
        sketch = np.uint64(0)
        for bit in range(64):
            if 2 * weights[bit] > count:
                sketch |= np.uint64(1) << np.uint64(bit)
        result[document] = sketch
