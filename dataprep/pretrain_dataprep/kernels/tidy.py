"""Uniform whitespace; `text.tidy` says what is changed."""

from __future__ import annotations

from pretrain_dataprep.compiled import TEXT, compiled, inlined

MAX_NEWLINES = 3


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
    newlines = MAX_NEWLINES
    position = start
    while position < end:
        first = text[position]
        if 32 <= first < 127:
            out[size] = first
            size += 1
            position += 1
            continue
        width = _line_end_width(text, position, end)
        if width > 0:
            trimmed = _without_blanks_at_end(out, begin, size)
            if trimmed == begin:
                # Still before the first line with content.
                newlines = MAX_NEWLINES
            elif out[trimmed - 1] != 10:
                newlines = 0
            size = trimmed
            if newlines < MAX_NEWLINES:
                out[size] = 10
                size += 1
                newlines += 1
            position += width
            continue
        width = _removed_width(text, position, end)
        if width == 0:
            out[size] = first
            size += 1
            width = 1
        position += width
    size = _without_blanks_at_end(out, begin, size)
    while size > begin and out[size - 1] == 10:
        size = _without_blanks_at_end(out, begin, size - 1)
    return size


@compiled(f"void({TEXT}, int64[::1], uint8[::1], int64[::1])")
def write_tidied(text, offsets, out, out_offsets):
    size = 0
    out_offsets[0] = 0
    for document in range(len(offsets) - 1):
        size = _tidy_document(text, offsets[document], offsets[document + 1], out, size)
        out_offsets[document + 1] = size
