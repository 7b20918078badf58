"""Spans of documents with keys: equal text, equal keys; and documents without some of their spans."""

from __future__ import annotations

import numpy as np

from pretrain_dataprep.compiled import TEXT, compiled, inlined
from pretrain_dataprep.kernels.spans import locate_words, ngram_keys
from pretrain_dataprep.kernels.words import mix64, scan_words


@inlined
def _is_white(byte):
    return byte == 32 or byte == 9 or byte == 10


@inlined
def _passage_end(text, position, end, newlines):
    """Return where the passage at `position` ends: at a line feed, or at two."""
    while position < end and not (
        text[position] == 10 and (newlines == 1 or (position + 1 < end and text[position + 1] == 10))
    ):
        position += 1
    return position


@inlined
def _passage_key(text, start, end):
    """Return the hash of a passage without the blanks around it, and its characters."""
    while start < end and _is_white(text[start]):
        start += 1
    while end > start and _is_white(text[end - 1]):
        end -= 1
    state = np.uint64(0xCBF29CE484222325)
    characters = 0
    for position in range(start, end):
        state = (state ^ np.uint64(text[position])) * np.uint64(0x100000001B3)
        characters += (text[position] & 0xC0) != 0x80
    return mix64(state), characters


@compiled(f"int64({TEXT}, int64[::1], int64, int64, uint64[::1], uint32[::1], uint32[::1], uint32[::1])")
def write_passages(text, offsets, newlines, least, keys, rows, starts, ends):
    """Write key, row, and first and last byte within its document of each passage; return how many.

    A span goes on to where the next passage begins, so that nothing of it is left when it is cut out.
    """
    count = 0
    for document in range(len(offsets) - 1):
        first, end = offsets[document], offsets[document + 1]
        position = first
        while position < end:
            stop = _passage_end(text, position, end, newlines)
            following = stop
            while following < end and text[following] == 10:
                following += 1
            key, characters = _passage_key(text, position, stop)
            if characters >= least and characters > 0:
                keys[count], rows[count] = key, document
                starts[count], ends[count] = position - first, following - first
                count += 1
            position = following
    return count


@compiled(
    f"int64({TEXT}, int64[::1], int64, uint64[::1], int32[::1], uint8[::1], int64[::1], int64[::1], uint64[::1],"
    " uint32[::1], uint32[::1], uint32[::1])"
)
def write_windows(text, offsets, ngram, words, lengths, kinds, word_starts, word_ends, keys, rows, starts, ends):
    """Write key, row, and first and last byte within its document of each window of words; return how many."""
    count = 0
    for document in range(len(offsets) - 1):
        first, end = offsets[document], offsets[document + 1]
        found = scan_words(text, first, end, words, lengths, kinds)
        locate_words(text, first, end, word_starts, word_ends)
        windows = ngram_keys(words, found, ngram, keys[count:])
        for window in range(windows):
            rows[count] = document
            starts[count] = word_starts[window] - first
            ends[count] = word_ends[window + ngram - 1] - first
            count += 1
    return count


@compiled("int64(uint32[::1], uint32[::1], uint32[::1])")
def merge_spans(rows, starts, ends):
    """Replace sorted spans by their union in place; return how many are left."""
    count = 0
    for span in range(len(rows)):
        if count > 0 and rows[count - 1] == rows[span] and starts[span] <= ends[count - 1]:
            ends[count - 1] = max(ends[count - 1], ends[span])
        else:
            rows[count], starts[count], ends[count] = rows[span], starts[span], ends[span]
            count += 1
    return count


@compiled(f"void({TEXT}, int64[::1], uint32[::1], uint32[::1], uint32[::1], uint8[::1], int64[::1])")
def write_without(text, offsets, rows, starts, ends, out, out_offsets):
    """Write documents without their spans (merged, sorted by row), and without the blanks then around them."""
    size = span = 0
    out_offsets[0] = 0
    for document in range(len(offsets) - 1):
        position, begin = offsets[document], size
        is_cut = span < len(rows) and rows[span] == document
        while span < len(rows) and rows[span] == document:
            for byte in range(position, offsets[document] + starts[span]):
                if size > begin or not _is_white(text[byte]):
                    out[size] = text[byte]
                    size += 1
            position = offsets[document] + ends[span]
            span += 1
        for byte in range(position, offsets[document + 1]):
            if not is_cut or size > begin or not _is_white(text[byte]):
                out[size] = text[byte]
                size += 1
        while is_cut and size > begin and _is_white(out[size - 1]):
            size -= 1
        out_offsets[document + 1] = size
