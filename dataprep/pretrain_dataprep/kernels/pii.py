"""Finds stretches that may hold personal data; `text.pii` looks at them closely."""

from __future__ import annotations

from pretrain_dataprep.compiled import TEXT, compiled, inlined

EMAIL, PHONE, IPV4, IPV6 = 0, 1, 2, 3


@inlined
def _is_digit(byte):
    return 48 <= byte <= 57


@inlined
def _is_hexadecimal(byte):
    return 48 <= byte <= 57 or 65 <= byte <= 70 or 97 <= byte <= 102


@inlined
def _is_letter(byte):
    return 65 <= byte <= 90 or 97 <= byte <= 122


@inlined
def _in_email(byte):
    return _is_digit(byte) or _is_letter(byte) or byte >= 128 or byte in (0x2E, 0x2D, 0x5F, 0x25, 0x2B, 0x27)


@inlined
def _add(out, count, document, first, last, kind):
    if count < len(out):
        out[count, 0] = document
        out[count, 1] = first
        out[count, 2] = last
        out[count, 3] = kind
    return count + 1


@inlined
def _number_end(text, position, end):
    """Return (end of the run of digits and separators at `position`, digits, dots, separators of any kind)."""
    digits = dots = separators = 0
    last = position
    while position < end:
        byte = text[position]
        if _is_digit(byte):
            digits += 1
            last = position + 1
        elif byte == 0x2E:
            dots += 1
            separators += 1
        elif byte in (0x20, 0x2D, 0x28, 0x29, 0x2F):
            separators += 1
        elif byte == 0xC2 and position + 1 < end and text[position + 1] == 0xA0:
            position += 1
            separators += 1
        elif byte == 0xE2 and position + 2 < end and text[position + 1] == 0x80 and text[position + 2] == 0x91:
            position += 2
            separators += 1
        else:
            break
        position += 1
    return last, digits, dots, separators


@inlined
def _find_email_stretch(text, start, at, end, out, count, document):
    first = at
    while first > start and at - first < 64 and _in_email(text[first - 1]):
        first -= 1
    last = at + 1
    while last < end and last - at < 256 and _in_email(text[last]):
        last += 1
    if first < at and last > at + 3:
        return _add(out, count, document, first - start, last - start, EMAIL)
    return count


@inlined
def _find_number_stretch(text, start, position, end, out, count, document):
    """Add stretches of the run of digits that starts at `position`; return (stretches, end of the run)."""
    skip = 1 if text[position] == 0x2B else 0
    last, digits, dots, separators = _number_end(text, position + skip, end)
    if digits >= 7 and (separators > 0 or skip > 0):
        count = _add(out, count, document, position - start, last - start, PHONE)
    if digits >= 4 and dots >= 3:
        count = _add(out, count, document, position - start, last - start, IPV4)
    return count, max(last, position + 1)


@inlined
def _find_ipv6_stretch(text, start, colon, end, out, count, document):
    """Add the run of hexadecimal digits and colons around its first colon; return (stretches, end of the run)."""
    first = colon
    while first > start and colon - first < 4 and _is_hexadecimal(text[first - 1]):
        first -= 1
    last = colon
    colons = 0
    while last < end and (_is_hexadecimal(text[last]) or text[last] == 0x3A or text[last] == 0x2E):
        colons += text[last] == 0x3A
        last += 1
    if colons >= 2:
        while last > first and text[last - 1] == 0x2E:
            last -= 1
        count = _add(out, count, document, first - start, last - start, IPV6)
    return count, last


@compiled(f"int64({TEXT}, int64[::1], int64[:, ::1])")
def write_stretches(text, offsets, out):
    count = 0
    for document in range(len(offsets) - 1):
        start, end = offsets[document], offsets[document + 1]
        numbers_from = colons_from = start
        for position in range(start, end):
            byte = text[position]
            if byte == 0x40:
                count = _find_email_stretch(text, start, position, end, out, count, document)
            elif byte == 0x3A and position >= colons_from:
                count, colons_from = _find_ipv6_stretch(text, start, position, end, out, count, document)
            elif position >= numbers_from and (
                _is_digit(byte)
                or ((byte == 0x2B or byte == 0x28) and position + 1 < end and _is_digit(text[position + 1]))
            ):
                count, numbers_from = _find_number_stretch(text, start, position, end, out, count, document)
    return count
