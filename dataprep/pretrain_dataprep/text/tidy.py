"""Normalisation: Unicode form, mojibake, line endings, control characters, whitespace."""

from __future__ import annotations

import unicodedata

import numpy as np

from pretrain_api.spec.data import Normalize
from pretrain_dataprep.compiled import TEXT, compiled, inlined
from pretrain_dataprep.text.batch import TextBatch

_MAX_NEWLINES = 3


def normalize_unicode(text: str, options: Normalize) -> str:
    """Return the text in the Unicode form asked for, its mojibake mended if asked for."""
    if options.fix_mojibake and not text.isascii():
        import ftfy

        text = ftfy.fix_text(text, normalization=None)
    if options.unicode == "none" or text.isascii():
        return text
    return unicodedata.normalize(options.unicode, text)


def tidy(batch: TextBatch) -> TextBatch:
    """Return the batch with uniform whitespace.

    - CRLF, CR, U+2028 and U+2029 become line feeds;
    - control characters (C0 but tab and line feed, DEL, C1), U+FEFF, U+200B and U+00AD are removed;
    - spaces and tabs at line ends go, leading ones and those inside lines stay (code keeps its indentation);
    - more than two empty lines in a row become two; empty lines at the beginning and whitespace at the end go.
    """
    out = np.empty(len(batch.text), np.uint8)
    offsets = np.empty(len(batch) + 1, np.int64)
    _tidy(batch.text, batch.offsets, out, offsets)
    return TextBatch(out[: offsets[-1]], offsets)


@inlined
def _removed_width(text, position, end):
    """Return the bytes of the invisible character at `position`, 0 if there is none."""
    first = text[position]
    if first < 32 or first == 127:
        return 0 if first == 9 else 1
    if first == 0xC2 and position + 1 < end and (text[position + 1] < 0xA0 or text[position + 1] == 0xAD):
        return 2
    if position + 2 >= end:
        return 0
    if first == 0xE2 and text[position + 1] == 0x80 and text[position + 2] == 0x8B:
        return 3
    if first == 0xEF and text[position + 1] == 0xBB and text[position + 2] == 0xBF:
        return 3
    return 0


@inlined
def _line_end_width(text, position, end):
    """Return the bytes of the line end at `position`, 0 if there is none."""
    first = text[position]
    if first == 10:
        return 1
    if first == 13:
        return 2 if position + 1 < end and text[position + 1] == 10 else 1
    if first == 0xE2 and position + 2 < end and text[position + 1] == 0x80 and text[position + 2] & 0xFE == 0xA8:
        return 3
    return 0


@inlined
def _without_blanks_at_end(out, begin, size):
    while size > begin and (out[size - 1] == 32 or out[size - 1] == 9):
        size -= 1
    return size


@inlined
def _tidy_document(text, start, end, out, begin):
    size = begin
    newlines = _MAX_NEWLINES
    position = start
    while position < end:
        width = _line_end_width(text, position, end)
        if width > 0:
            trimmed = _without_blanks_at_end(out, begin, size)
            if trimmed == begin:
                # Still before the first line with content.
                newlines = _MAX_NEWLINES
            elif out[trimmed - 1] != 10:
                newlines = 0
            size = trimmed
            if newlines < _MAX_NEWLINES:
                out[size] = 10
                size += 1
                newlines += 1
            position += width
            continue
        width = _removed_width(text, position, end)
        if width == 0:
            out[size] = text[position]
            size += 1
            width = 1
        position += width
    size = _without_blanks_at_end(out, begin, size)
    while size > begin and out[size - 1] == 10:
        size = _without_blanks_at_end(out, begin, size - 1)
    return size


@compiled(f"void({TEXT}, int64[::1], uint8[::1], int64[::1])")
def _tidy(text, offsets, out, out_offsets):
    size = 0
    out_offsets[0] = 0
    for document in range(len(offsets) - 1):
        size = _tidy_document(text, offsets[document], offsets[document + 1], out, size)
        out_offsets[document + 1] = size
