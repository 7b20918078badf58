"""Hash tables of n-grams, and the probability of text under them; `filtering.ngram_model` says what is in them."""

from __future__ import annotations

import numpy as np

from pretrain_dataprep.compiled import TEXT, compiled, inlined
from pretrain_dataprep.kernels.words import mix64, scan_words

BEGIN, END = 1, 2
"""Stand for <s> and </s> in place of a word's hash."""

_NEXT = np.uint64(0x9E3779B97F4A7C15)
_KEYS = "Array(uint64, 1, 'C', readonly=True)"
_VALUES = "Array(float32, 2, 'C', readonly=True)"


@inlined
def _extended(key, word):
    """Return the hash of an n-gram from those of the words before its last one, and of that one."""
    return mix64(key * _NEXT + word) | np.uint64(1)


@inlined
def _find(key, keys):
    """Return the slot of a key, -1: it isn't there. 0 marks empty slots."""
    mask = len(keys) - 1
    slot = np.int64(mix64(key) & np.uint64(mask))
    while keys[slot] != 0:
        if keys[slot] == key:
            return slot
        slot = (slot + 1) & mask
    return -1


@inlined
def _log_probability(words, position, order, keys, values, unknown):
    """Return log10 of the probability of words[position] after the words before it (Katz 1987's back-off)."""
    total = 0.0
    for first in range(max(0, position - order + 1), position + 1):
        context = np.uint64(0)
        for word in range(first, position):
            context = _extended(context, words[word])
        slot = _find(_extended(context, words[position]), keys)
        if slot >= 0:
            return total + values[slot, 0]
        if first < position:
            slot = _find(context, keys)
            if slot >= 0:
                total += values[slot, 1]
    return total + unknown


@compiled(
    f"void({TEXT}, int64[::1], int64, {_KEYS}, {_VALUES}, float64, uint64[::1], int32[::1], uint8[::1], float64[::1])"
)
def write_perplexities(text, offsets, order, keys, values, unknown, words, lengths, kinds, perplexities):
    """Write the perplexity of each document, NaN for one without words; each line is a sentence."""
    words[0] = BEGIN
    for document in range(len(offsets) - 1):
        position, end = offsets[document], offsets[document + 1]
        total, tokens = 0.0, 0
        while position < end:
            line_end = position
            while line_end < end and text[line_end] != 10:
                line_end += 1
            count = scan_words(text, position, line_end, words[1:], lengths, kinds)
            if count > 0:
                words[count + 1] = END
                for word in range(1, count + 2):
                    total += _log_probability(words, word, order, keys, values, unknown)
                tokens += count + 1
            position = line_end + 1
        perplexities[document] = 10.0 ** (-total / tokens) if tokens else np.nan


@compiled(f"int64({TEXT}, int64[::1], uint64[::1], int32[::1], uint8[::1], uint64[::1])")
def write_sentences(text, offsets, words, lengths, kinds, tokens):
    """Write the words of every line of all documents between BEGIN and END; return how many tokens that makes."""
    total = 0
    for document in range(len(offsets) - 1):
        position, end = offsets[document], offsets[document + 1]
        while position < end:
            line_end = position
            while line_end < end and text[line_end] != 10:
                line_end += 1
            count = scan_words(text, position, line_end, words, lengths, kinds)
            if count > 0:
                tokens[total] = BEGIN
                tokens[total + 1 : total + 1 + count] = words[:count]
                tokens[total + 1 + count] = END
                total += count + 2
            position = line_end + 1
    return total


@compiled("void(uint64[::1], int64[::1], int64, uint64[::1])")
def write_keys(tokens, positions, length, keys):
    """Write the keys of the n-grams of `length` tokens at `positions`."""
    for index in range(len(positions)):
        key = np.uint64(0)
        for place in range(length):
            key = _extended(key, tokens[positions[index] + place])
        keys[index] = key


@compiled("void(uint64[::1], float32[:, ::1], uint64[::1], float32[:, ::1])")
def fill_table(entry_keys, entry_values, keys, values):
    """Put entries into a table of a power of two of slots, all of them 0 before."""
    mask = len(keys) - 1
    for entry in range(len(entry_keys)):
        slot = np.int64(mix64(entry_keys[entry]) & np.uint64(mask))
        while keys[slot] != 0 and keys[slot] != entry_keys[entry]:
            slot = (slot + 1) & mask
        keys[slot] = entry_keys[entry]
        values[slot] = entry_values[entry]
