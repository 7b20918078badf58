"""Where words are, and where n-grams of theirs."""

from __future__ import annotations

import numpy as np

from pretrain_dataprep.compiled import TEXT, compiled, inlined
from pretrain_dataprep.kernels.shingles import POLYNOMIAL
from pretrain_dataprep.kernels.words import (
    ASCII_CLASSES,
    DIGIT,
    LETTER,
    SINGLE,
    character_class,
    decode,
    joins_word,
    mix64,
    scan_words,
)


@inlined
def locate_words(text, start, end, starts, ends):
    """Write the bytes where the words of text[start:end], those of `scan_words`, begin and end; return how many."""
    count = 0
    first_byte = -1
    position = start
    while position < end:
        first = text[position]
        if first < 128:
            code = np.int64(first)
            width = 1
            what = np.int64(ASCII_CLASSES[first])
        else:
            code, width = decode(text, position, end)
            what = np.int64(character_class(code))
        if first_byte >= 0 and (code == 0x27 or code == 0x2019) and joins_word(text, position + width, end):
            what = LETTER
        if what & (LETTER | DIGIT):
            if first_byte < 0:
                first_byte = position
        else:
            if first_byte >= 0:
                starts[count], ends[count] = first_byte, position
                count += 1
                first_byte = -1
            if what == SINGLE:
                starts[count], ends[count] = position, position + width
                count += 1
        position += width
    if first_byte >= 0:
        starts[count], ends[count] = first_byte, end
        count += 1
    return count


@inlined
def ngram_keys(words, count, ngram, keys):
    """Write a 64-bit key of each n-gram of `count` word hashes; return how many there are."""
    if count < ngram:
        return 0
    power = np.uint64(1)
    state = np.uint64(0)
    for word in range(ngram):
        state = state * POLYNOMIAL + words[word]
        if word > 0:
            power *= POLYNOMIAL
    keys[0] = mix64(state)
    for word in range(ngram, count):
        state = (state - words[word - ngram] * power) * POLYNOMIAL + words[word]
        keys[word - ngram + 1] = mix64(state)
    return count - ngram + 1


@compiled(f"int64({TEXT}, int64, uint64[::1], int32[::1], uint8[::1], uint64[::1], int64[::1], int64[::1])")
def write_ngrams(text, ngram, words, lengths, kinds, keys, starts, ends):
    """Write the keys of a document's n-grams, and where its words begin and end; return the number of n-grams."""
    count = scan_words(text, 0, len(text), words, lengths, kinds)
    locate_words(text, 0, len(text), starts, ends)
    return ngram_keys(words, count, ngram, keys)
