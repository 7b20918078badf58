"""Sentence ends in UTF-8 bytes; `text.sentences` says what a sentence is."""

from __future__ import annotations

import numpy as np

from pretrain_dataprep.compiled import TEXT, compiled, inlined
from pretrain_dataprep.kernels.words import ASCII_CLASSES, DIGIT, LETTER, SINGLE, SPACE, character_class, decode
from pretrain_dataprep.text.sentences import TERMINAL_PUNCTUATION

_FULL_STOP, _EXCLAMATION, _QUESTION = 0x2E, 0x21, 0x3F


@inlined
def is_terminal(code):
    """Tell whether a code point is a terminal punctuation mark."""
    if code < 128:
        return code in (_FULL_STOP, _EXCLAMATION, _QUESTION)
    place = np.searchsorted(TERMINAL_PUNCTUATION, code)
    return place < len(TERMINAL_PUNCTUATION) and TERMINAL_PUNCTUATION[place] == code


@inlined
def ends_terminally(text, start, end):
    """Tell whether the last character of text[start:end] is a terminal punctuation mark."""
    position = end - 1
    while position > start and (text[position] & 0xC0) == 0x80:
        position -= 1
    if text[position] < 128:
        return is_terminal(np.int64(text[position]))
    code, _ = decode(text, position, end)
    return is_terminal(code)


@inlined
def _class_at(text, position, end):
    """Return (class, bytes) of the character at `position`."""
    if text[position] < 128:
        return np.int64(ASCII_CLASSES[text[position]]), 1
    code, width = decode(text, position, end)
    return np.int64(character_class(code)), width


@inlined
def _closes(code):
    """Tell whether a code point closes a quotation or bracket: " ' ) ] } ’ ” » 」 』 ）."""
    return code in (0x22, 0x27, 0x29, 0x5D, 0x7D, 0x2019, 0x201D, 0xBB, 0x300D, 0x300F, 0xFF09)


@inlined
def _space_follows(text, position, end):
    """Tell whether whitespace or the end comes next, after closing marks if any."""
    while position < end:
        code, width = np.int64(text[position]), 1
        if code >= 128:
            code, width = decode(text, position, end)
        if not _closes(code):
            what, _ = _class_at(text, position, end)
            return what == SPACE
        position += width
    return True


@inlined
def _abbreviates(text, start, position):
    """Tell whether a full stop at `position` comes after a full stop or a single letter."""
    if position == start:
        return True
    before = text[position - 1]
    if before == _FULL_STOP:
        return True
    if before >= 128 or ASCII_CLASSES[before] != LETTER:
        return False
    if position - 1 == start:
        return True
    return text[position - 2] < 128 and (ASCII_CLASSES[text[position - 2]] & (LETTER | DIGIT)) == 0


@inlined
def _is_end(text, start, position, code, width, end):
    """Tell whether a sentence of text[start:end] ends with the mark `code` at `position`."""
    if not is_terminal(code):
        return False
    if code >= 128:
        return True
    if code == _FULL_STOP and _abbreviates(text, start, position):
        return False
    return _space_follows(text, position + width, end)


@inlined
def count_sentences(text, start, end):
    """Return the number of sentences of text[start:end]."""
    count = 0
    begun = False
    position = start
    while position < end:
        code, width = np.int64(text[position]), 1
        if code >= 128:
            code, width = decode(text, position, end)
            what = np.int64(character_class(code))
        else:
            what = np.int64(ASCII_CLASSES[code])
        # Some scripts have their marks among what counts as letters.
        if what & (LETTER | DIGIT | SINGLE) and (code < 128 or not is_terminal(code)):
            begun = True
        elif begun and _is_end(text, start, position, code, width, end):
            count += 1
            begun = False
        position += width
    return count + begun


@compiled(f"int64({TEXT})")
def sentences(text):
    return count_sentences(text, 0, len(text))
