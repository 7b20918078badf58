"""Splitting UTF-8 bytes into words; `text.words` says what a word is."""

from __future__ import annotations

import numpy as np

from pretrain_dataprep.compiled import TEXT, compiled, inlined

OTHER, SPACE, LETTER, DIGIT, SINGLE = 0, 1, 2, 4, 8

_FNV_OFFSET = np.uint64(0xCBF29CE484222325)
_FNV_PRIME = np.uint64(0x100000001B3)
_APOSTROPHE = 0x27
_RIGHT_QUOTE = 0x2019


def _ascii_classes() -> np.ndarray:
    classes = np.zeros(128, np.uint8)
    for code in range(128):
        character = chr(code)
        if character.isalpha():
            classes[code] = LETTER
        elif character.isdigit() or character == "_":
            classes[code] = DIGIT
        elif character.isspace():
            classes[code] = SPACE
    return classes


ASCII_CLASSES = _ascii_classes()


def _word_bytes() -> np.ndarray:
    """Return for each byte that is a letter or digit by itself its lower case, and above it its class; 0 for others."""
    folded = np.zeros(256, np.uint16)
    for code in range(128):
        if ASCII_CLASSES[code] & (LETTER | DIGIT):
            folded[code] = (int(ASCII_CLASSES[code]) << 8) | ord(chr(code).lower())
    return folded


_WORD_BYTES = _word_bytes()


@inlined
def character_class(code):
    """Return the class of a code point outside ASCII."""
    if code < 0x2000:
        if code < 0xC0:
            if code == 0xAA or code == 0xB5 or code == 0xBA:
                return LETTER
            return SPACE if code == 0x85 or code == 0xA0 else OTHER
        if code == 0xD7 or code == 0xF7:
            return OTHER
        if 0x0E00 <= code < 0x0F00 or 0x1000 <= code < 0x10A0 or 0x1780 <= code < 0x1800:
            return SINGLE
        return SPACE if code == 0x1680 else LETTER
    if code < 0x3000:
        if code <= 0x200A or code == 0x2028 or code == 0x2029 or code == 0x202F or code == 0x205F:
            return SPACE
        if 0x2070 <= code < 0x20A0 or 0x2100 <= code < 0x2150 or 0x2C00 <= code < 0x2E00:
            return LETTER
        return SINGLE if code >= 0x2E80 and code < 0x2FE0 else OTHER
    if code < 0xA000:
        if code == 0x3000:
            return SPACE
        if code < 0x3040:
            return SINGLE if 0x3005 <= code <= 0x3007 else OTHER
        return SINGLE
    if code < 0xE000:
        return LETTER
    if code < 0xF900:
        return OTHER
    if code < 0xFB00:
        return SINGLE
    if 0xFE10 <= code < 0xFE70 or 0xFFE0 <= code < 0x10000:
        return OTHER
    if 0xFF00 <= code < 0xFFE0:
        if code <= 0xFF0F or 0xFF1A <= code <= 0xFF20 or 0xFF3B <= code <= 0xFF40 or 0xFF5B <= code <= 0xFF65:
            return OTHER
        return SINGLE if 0xFF66 <= code <= 0xFF9D else LETTER
    if 0x1F000 <= code < 0x20000:
        return OTHER
    if 0x20000 <= code < 0x40000:
        return SINGLE
    return LETTER


@inlined
def decode(text, position, end):
    """Return (code point, bytes) of a character outside ASCII in valid UTF-8."""
    first = np.int64(text[position])
    if first < 0xE0 and position + 1 < end:
        return ((first & 0x1F) << 6) | (np.int64(text[position + 1]) & 0x3F), 2
    if first < 0xF0 and position + 2 < end:
        return (
            ((first & 0x0F) << 12)
            | ((np.int64(text[position + 1]) & 0x3F) << 6)
            | (np.int64(text[position + 2]) & 0x3F),
            3,
        )
    if position + 3 < end:
        return (
            ((first & 0x07) << 18)
            | ((np.int64(text[position + 1]) & 0x3F) << 12)
            | ((np.int64(text[position + 2]) & 0x3F) << 6)
            | (np.int64(text[position + 3]) & 0x3F),
            4,
        )
    return 0xFFFD, 1


@inlined
def characters_of(text, start, end):
    """Return the characters of text[start:end]: the bytes that don't continue one."""
    characters = 0
    for position in range(start, end):
        characters += (text[position] & 0xC0) != 0x80
    return characters


@inlined
def lower(code):
    """Return the lower case of a code point outside ASCII, for Latin-1, Greek and Cyrillic letters."""
    if 0xC0 <= code <= 0xDE or 0x0391 <= code <= 0x03A9 or 0x0410 <= code <= 0x042F:
        return code + 0x20
    if 0x0400 <= code <= 0x040F:
        return code + 0x50
    return code


@inlined
def mix64(value):
    """Return MurmurHash3's 64-bit finalizer of a uint64."""
    value ^= value >> np.uint64(33)
    value *= np.uint64(0xFF51AFD7ED558CCD)
    value ^= value >> np.uint64(33)
    value *= np.uint64(0xC4CEB9FE1A85EC53)
    return value ^ (value >> np.uint64(33))


@inlined
def joins_word(text, position, end):
    """Tell whether an apostrophe whose next byte is at `position` can be inside a word."""
    if position >= end:
        return False
    following = text[position]
    return (following < 128 and ASCII_CLASSES[following] == LETTER) or 0xC3 <= following <= 0xDF


@inlined
def scan_words(text, start, end, hashes, lengths, kinds):
    """Write hash (uint64), characters (int32) and classes (uint8, ORed) of the words of text[start:end].

    Returns how many; the arrays need room for one word every other byte, rounded up.
    """
    count = 0
    state = _FNV_OFFSET
    length = 0
    kind = 0
    position = start
    while position < end:
        # Nearly all of most texts: a run of ASCII letters and digits, a look into a table each.
        run = position
        folded = _WORD_BYTES[text[position]]
        while folded != 0:
            state = (state ^ np.uint64(folded & 0xFF)) * _FNV_PRIME
            kind |= folded >> 8
            position += 1
            folded = _WORD_BYTES[text[position]] if position < end else np.uint16(0)
        length += position - run
        if position == end:
            break
        first = text[position]
        if first < 128:
            code = np.int64(first)
            width = 1
            what = np.int64(OTHER)
        else:
            code, width = decode(text, position, end)
            what = np.int64(character_class(code))
            code = lower(code)
        if length > 0 and (code == _APOSTROPHE or code == _RIGHT_QUOTE) and joins_word(text, position + width, end):
            code = _APOSTROPHE
            what = LETTER
        if what & (LETTER | DIGIT):
            state = (state ^ np.uint64(code)) * _FNV_PRIME
            length += 1
            kind |= what
        else:
            if length > 0:
                hashes[count] = mix64(state)
                lengths[count] = length
                kinds[count] = kind
                count += 1
                state = _FNV_OFFSET
                length = 0
                kind = 0
            if what == SINGLE:
                hashes[count] = mix64((_FNV_OFFSET ^ np.uint64(code)) * _FNV_PRIME)
                lengths[count] = 1
                kinds[count] = SINGLE
                count += 1
        position += width
    if length > 0:
        hashes[count] = mix64(state)
        lengths[count] = length
        kinds[count] = kind
        count += 1
    return count


@compiled(f"int64({TEXT}, uint64[::1], int32[::1], uint8[::1])")
def write_words(text, hashes, lengths, kinds):
    return scan_words(text, 0, len(text), hashes, lengths, kinds)
