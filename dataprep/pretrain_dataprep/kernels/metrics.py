"""The numbers of `text.metrics`, document by document."""

from __future__ import annotations

import numpy as np

from pretrain_dataprep.compiled import TEXT, compiled, inlined
from pretrain_dataprep.kernels.sentences import ends_terminally
from pretrain_dataprep.kernels.words import (
    ASCII_CLASSES,
    LETTER,
    SINGLE,
    SPACE,
    character_class,
    characters_of,
    decode,
    mix64,
    scan_words,
)
from pretrain_dataprep.text.metrics import SHORT_LINE_CHARACTERS, Metric


@inlined
def _bullet_at(text, position, end):
    first = text[position]
    if first == 0x2D or first == 0x2A:
        return True
    if first == 0xE2 and position + 2 < end:
        second, third = text[position + 1], text[position + 2]
        if second == 0x80:
            return third == 0xA2 or third == 0xA3
        return (second == 0x97 and third == 0x8F) or (second == 0x96 and third == 0xAA)
    return False


@inlined
def _ellipsis_before(text, start, position):
    """Tell whether text[start:position] ends with an ellipsis."""
    if position - start < 3:
        return False
    last = text[position - 1]
    if last == 0x2E:
        return text[position - 2] == 0x2E and text[position - 3] == 0x2E
    return last == 0xA6 and text[position - 2] == 0x80 and text[position - 3] == 0xE2


@inlined
def _is_blank(byte):
    return byte == 32 or byte == 9


@inlined
def _is_short(text, start, end):
    """Tell whether text[start:end] has at most SHORT_LINE_CHARACTERS."""
    if end - start > 4 * SHORT_LINE_CHARACTERS:
        return False
    return characters_of(text, start, end) <= SHORT_LINE_CHARACTERS


@inlined
def _measure_lines(text, start, end, words, row):
    lines = bullets = ellipses = terminals = short = line_feeds = 0
    position = start
    while position < end:
        line_end = position
        while line_end < end and text[line_end] != 10:
            line_end += 1
        first, last = position, line_end
        while first < last and _is_blank(text[first]):
            first += 1
        while last > first and _is_blank(text[last - 1]):
            last -= 1
        if last > first:
            lines += 1
            bullets += _bullet_at(text, first, last)
            ellipses += _ellipsis_before(text, first, last)
            terminals += ends_terminally(text, first, last)
            short += _is_short(text, position, last)
        line_feeds += line_end < end
        position = line_end + 1
    row[Metric.BULLET_LINE_FRACTION] = bullets / max(lines, 1)
    row[Metric.ELLIPSIS_LINE_FRACTION] = ellipses / max(lines, 1)
    row[Metric.TERMINAL_LINE_FRACTION] = terminals / max(lines, 1)
    row[Metric.SHORT_LINE_FRACTION] = short / max(lines, 1)
    row[Metric.LINE_FEED_TO_WORD_RATIO] = line_feeds / max(words, 1)


@inlined
def _measure_characters(text, start, end, words, row):
    """Count characters, number signs, ellipses; return the tokens that aren't words, and the characters of no word."""
    characters = number_signs = ellipses = symbols = others = 0
    in_token = has_word = False
    position = start
    while position < end:
        first = text[position]
        if first < 128:
            width = 1
            what = np.int64(ASCII_CLASSES[first])
            if first == 0x23:
                number_signs += 1
            elif first == 0x2E and position + 2 < end and text[position + 1] == 0x2E and text[position + 2] == 0x2E:
                ellipses += 1
                width = 3
                characters += 2
        else:
            code, width = decode(text, position, end)
            what = np.int64(character_class(code))
            ellipses += code == 0x2026
        characters += 1
        if what == SPACE:
            symbols += in_token and not has_word
            in_token = has_word = False
        else:
            in_token = True
            others += what == 0
            has_word = has_word or what != 0
        position += width
    symbols += in_token and not has_word
    row[Metric.CHARACTERS] = characters
    row[Metric.HASH_TO_WORD_RATIO] = number_signs / max(words, 1)
    row[Metric.ELLIPSIS_TO_WORD_RATIO] = ellipses / max(words, 1)
    return symbols, others


@inlined
def _measure_words(hashes, lengths, kinds, words, symbols, others, stop_words, row):
    spaced = spaced_characters = alphabetic = 0
    seen = np.int64(0)
    for word in range(words):
        if kinds[word] != SINGLE:
            spaced += 1
            spaced_characters += lengths[word]
        alphabetic += (kinds[word] & (LETTER | SINGLE)) != 0
        for index in range(len(stop_words)):
            if hashes[word] == stop_words[index]:
                seen |= np.int64(1) << index
    row[Metric.WORDS] = words
    if spaced > 0:
        row[Metric.MEAN_WORD_LENGTH] = spaced_characters / spaced
    elif words == 0:
        row[Metric.MEAN_WORD_LENGTH] = 0.0
    row[Metric.ALPHABETIC_WORD_FRACTION] = alphabetic / max(words + symbols, 1)
    row[Metric.ALPHABETIC_TOKEN_FRACTION] = alphabetic / max(words + others, 1)
    found = 0
    while seen:
        found += seen & 1
        seen >>= 1
    row[Metric.STOP_WORDS] = found


@inlined
def _table_size(entries):
    size = 16
    while size < 2 * entries:
        size *= 2
    return size


@inlined
def _slot(key, keys, used):
    """Return the slot of `key` in an open-addressing table, and whether it is in it."""
    mask = len(keys) - 1
    slot = np.int64(mix64(key) & np.uint64(mask))
    while used[slot]:
        if keys[slot] == key:
            return slot, True
        slot = (slot + 1) & mask
    return slot, False


@inlined
def _duplicate_ngram_fraction(grams, count, keys, used):
    used[:] = 0
    duplicates = 0
    for index in range(count):
        slot, found = _slot(grams[index], keys, used)
        if found:
            duplicates += 1
        else:
            keys[slot] = grams[index]
            used[slot] = 1
    return duplicates / max(count, 1)


@inlined
def _top_ngram_characters(grams, count, n, lengths, keys, used):
    """Return the characters (with one space between words) of all occurrences of the most frequent n-gram."""
    used[:] = 0
    most = 1
    for index in range(count):
        slot, _ = _slot(grams[index], keys, used)
        keys[slot] = grams[index]
        used[slot] += 1
        most = max(most, used[slot])
    if most < 2:
        return 0
    for index in range(count):
        slot, _ = _slot(grams[index], keys, used)
        if used[slot] == most:
            characters = n - 1
            for word in range(index, index + n):
                characters += lengths[word]
            return characters * most
    return 0


@inlined
def _duplicate_ngram_characters(grams, count, n, lengths, keys, used):
    """Return the characters in n-grams that occurred before; after one, the search goes on behind it."""
    used[:] = 0
    characters = 0
    index = 0
    while index < count:
        slot, found = _slot(grams[index], keys, used)
        if found:
            for word in range(index, index + n):
                characters += lengths[word]
            index += n
        else:
            keys[slot] = grams[index]
            used[slot] = 1
            index += 1
    return characters


@inlined
def _measure_ngrams(hashes, lengths, words, repetition, gopher_repetition, row):
    size = _table_size(words)
    keys = np.empty(size, np.uint64)
    used = np.zeros(size, np.int32)
    grams = hashes.copy()
    characters = max(row[Metric.CHARACTERS], 1.0)
    for n in range(2, 11):
        count = max(words - n + 1, 0)
        # A polynomial hash, longer by one word each time around.
        for index in range(count):
            grams[index] = grams[index] * np.uint64(0x9E3779B97F4A7C15) + hashes[index + n - 1]
        if n == 3 and repetition:
            row[Metric.DUPLICATE_NGRAM_FRACTION] = _duplicate_ngram_fraction(grams, count, keys, used)
        if not gopher_repetition:
            if n == 3:
                return
        elif n <= 4:
            top = _top_ngram_characters(grams, count, n, lengths, keys, used)
            row[Metric.TOP_2_GRAM_CHARACTER_FRACTION + n - 2] = top / characters
        else:
            duplicate = _duplicate_ngram_characters(grams, count, n, lengths, keys, used)
            row[Metric.DUPLICATE_5_GRAM_CHARACTER_FRACTION + n - 5] = duplicate / characters


@inlined
def _hash_bytes(text, start, end):
    state = np.uint64(0xCBF29CE484222325)
    for position in range(start, end):
        state = (state ^ np.uint64(text[position])) * np.uint64(0x100000001B3)
    return state


@inlined
def _measure_duplicate_pieces(text, start, end, newlines, keys, used):
    """Return (fraction of pieces, characters) that occurred before; a piece ends at `newlines` line feeds."""
    used[:] = 0
    pieces = duplicates = duplicate_characters = 0
    position = start
    while position < end:
        piece_end = position
        while piece_end < end and not (
            text[piece_end] == 10 and (newlines == 1 or (piece_end + 1 < end and text[piece_end + 1] == 10))
        ):
            piece_end += 1
        first = position
        while first < piece_end and (_is_blank(text[first]) or text[first] == 10):
            first += 1
        if first < piece_end:
            pieces += 1
            slot, found = _slot(_hash_bytes(text, first, piece_end), keys, used)
            if found:
                duplicates += 1
                duplicate_characters += characters_of(text, first, piece_end)
            else:
                keys[slot] = _hash_bytes(text, first, piece_end)
                used[slot] = 1
        position = piece_end + newlines
    return duplicates / max(pieces, 1), duplicate_characters


@inlined
def _measure_repeated_lines(text, start, end, row):
    line_feeds = 0
    for position in range(start, end):
        line_feeds += text[position] == 10
    size = _table_size(line_feeds + 1)
    keys = np.empty(size, np.uint64)
    used = np.zeros(size, np.int32)
    characters = row[Metric.CHARACTERS]
    fraction, duplicates = _measure_duplicate_pieces(text, start, end, 1, keys, used)
    row[Metric.DUPLICATE_LINE_FRACTION] = fraction
    row[Metric.DUPLICATE_LINE_CHARACTER_FRACTION] = duplicates / max(characters, 1.0)
    row[Metric.DUPLICATE_LINE_TEXT_FRACTION] = duplicates / max(characters - line_feeds, 1.0)
    fraction, duplicates = _measure_duplicate_pieces(text, start, end, 2, keys, used)
    row[Metric.DUPLICATE_PARAGRAPH_FRACTION] = fraction
    row[Metric.DUPLICATE_PARAGRAPH_CHARACTER_FRACTION] = duplicates / max(characters, 1.0)


@compiled(
    f"void({TEXT}, int64[::1], uint64[::1], uint64[::1], int32[::1], uint8[::1], boolean, boolean, float64[:, ::1])"
)
def write_metrics(text, offsets, stop_words, hashes, lengths, kinds, repetition, gopher_repetition, metrics):
    for document in range(len(offsets) - 1):
        start, end = offsets[document], offsets[document + 1]
        row = metrics[document]
        words = scan_words(text, start, end, hashes, lengths, kinds)
        symbols, others = _measure_characters(text, start, end, words, row)
        _measure_words(hashes, lengths, kinds, words, symbols, others, stop_words, row)
        _measure_lines(text, start, end, words, row)
        if repetition or gopher_repetition:
            _measure_ngrams(hashes[:words], lengths, words, repetition, gopher_repetition, row)
        if gopher_repetition:
            _measure_repeated_lines(text, start, end, row)
