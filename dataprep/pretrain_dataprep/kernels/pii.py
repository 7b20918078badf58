"""Finds stretches that may hold personal data; `text.pii` looks at them closely."""

from __future__ import annotations

import numpy as np

from pretrain_dataprep.compiled import TEXT, compiled, inlined

EMAIL, PHONE, IPV4, IPV6, NUMBER, LETTERED, PREFIXED, ASSIGNED, CREDENTIALS = range(9)
"""Kinds of stretches: an address; digits and separators that may be a phone number, an IPv4 or IPv6 address, or the
number of a card or a person; the first eight characters of a code that begins with six letters and two digits; what
begins as keys and tokens of known services do; a value after `=` or `:`; and `user:password` in a URL."""

_NOTHING, _DIGIT, _AT, _COLON, _SIGN, _EQUALS, _SECRET = range(7)

SECRET_PREFIXES = (
    b"AKIA", b"ASIA", b"ABIA", b"ACCA", b"AIza", b"ya29", b"GOCS", b"ghp_", b"gho_", b"ghu_", b"ghs_", b"ghr_",
    b"gith", b"glpa", b"xoxa", b"xoxb", b"xoxe", b"xoxo", b"xoxp", b"xoxr", b"xoxs", b"xapp", b"sk_l", b"sk_t",
    b"rk_l", b"rk_t", b"sk-p", b"sk-a", b"npm_", b"pypi", b"dckr", b"eyJh", b"eyJ0", b"eyJr", b"eyJi", b"eyJj",
    b"SG.", b"hf_", b"sk-", b"----",
)  # fmt: skip
"""First four bytes (three where the fourth may be anything) of what `text.personal.secrets` knows."""


def _code(prefix: bytes) -> int:
    return int.from_bytes(prefix[:4], "big")


_PREFIXES = np.array(sorted(_code(prefix) for prefix in SECRET_PREFIXES if len(prefix) == 4), np.uint32)
_SHORT_PREFIXES = np.array(sorted(_code(prefix) for prefix in SECRET_PREFIXES if len(prefix) == 3), np.uint32)


def _classes() -> np.ndarray:
    classes = np.zeros(256, np.uint8)
    for prefix in SECRET_PREFIXES:
        classes[prefix[0]] = _SECRET
    classes[ord("0") : ord("9") + 1] = _DIGIT
    for characters, kind in ((b"@", _AT), (b":", _COLON), (b"+(", _SIGN), (b"=", _EQUALS)):
        for byte in characters:
            classes[byte] = kind
    return classes


_CLASSES = _classes()


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
def _is_upper(byte):
    return 65 <= byte <= 90


@inlined
def _in_word(byte):
    return _is_digit(byte) or _is_letter(byte) or byte == 0x5F


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
def _find_email_stretch(text, start, at, end, wanted, out, count, document):
    first = at
    while first > start and at - first < 64 and _in_email(text[first - 1]):
        first -= 1
    last = at + 1
    while last < end and last - at < 256 and _in_email(text[last]):
        last += 1
    if wanted >> EMAIL & 1 and first < at and last > at + 3:
        count = _add(out, count, document, first - start, last - start, EMAIL)
    if wanted >> CREDENTIALS & 1 and last > at + 1:
        # Passwords have characters that addresses don't: back to the last space or slash.
        first = at
        while first > start and at - first < 128 and text[first - 1] > 0x20 and text[first - 1] != 0x2F:
            first -= 1
        if first < at and first > start + 1 and text[first - 1] == 0x2F and text[first - 2] == 0x2F:
            count = _add(out, count, document, first - start, at - start, CREDENTIALS)
    return count


@inlined
def _ends_in_capital(text, last, end):
    """Tell whether a capital letter follows, directly or after one space or hyphen."""
    if last < end and (text[last] == 0x20 or text[last] == 0x2D):
        last += 1
    return last < end and _is_upper(text[last])


@inlined
def _begins_with_capitals(text, start, position):
    """Tell whether exactly six capital letters are before `position`."""
    if position - start < 6 or (position - start > 6 and _in_word(text[position - 7])):
        return False
    for index in range(position - 6, position):
        if not _is_upper(text[index]):
            return False
    return True


@inlined
def _find_number_stretch(text, start, position, end, wanted, out, count, document):
    """Add stretches of the run of digits that starts at `position`; return (stretches, end of the run)."""
    skip = 0 if _is_digit(text[position]) else (1 if text[position] == 0x2B else 0)
    last, digits, dots, separators = _number_end(text, position + skip, end)
    first, final = position - start, last - start
    if wanted >> PHONE & 1 and digits >= 7 and (separators > 0 or skip > 0):
        count = _add(out, count, document, first, final, PHONE)
    if wanted >> IPV4 & 1 and digits >= 4 and dots >= 3:
        count = _add(out, count, document, first, final, IPV4)
    if wanted >> NUMBER & 1 and (digits >= 9 or (digits >= 6 and _ends_in_capital(text, last, end))):
        count = _add(out, count, document, first, final, NUMBER)
    if wanted >> LETTERED & 1 and digits == 2 and last == position + 2 and _begins_with_capitals(text, start, position):
        count = _add(out, count, document, first - 6, final, LETTERED)
    return count, max(last, position + 1)


@inlined
def _find_ipv6_stretch(text, start, colon, end, wanted, out, count, document):
    """Add the run of hexadecimal digits and colons around its first colon; return (stretches, end of the run)."""
    first = colon
    while first > start and colon - first < 4 and _is_hexadecimal(text[first - 1]):
        first -= 1
    last = colon
    colons = 0
    while last < end and (_is_hexadecimal(text[last]) or text[last] == 0x3A or text[last] == 0x2E):
        colons += text[last] == 0x3A
        last += 1
    if wanted >> IPV6 & 1 and colons >= 2:
        while last > first and text[last - 1] == 0x2E:
            last -= 1
        count = _add(out, count, document, first - start, last - start, IPV6)
    return count, last


@inlined
def _find_assigned_stretch(text, start, sign, end, out, count, document):
    """Add the value after `=` or `:` if it has 12 characters or more, digits and letters among them."""
    position = sign + 1
    while position < end and position - sign <= 4 and text[position] in (0x20, 0x22, 0x27, 0x3E, 0x60, 0x3D):
        position += 1
    first = position
    digits = letters = 0
    while position < end and position - first < 256:
        byte = text[position]
        if byte <= 0x20 or byte in (0x22, 0x27, 0x60, 0x28, 0x3C, 0x2C, 0x3B) or byte >= 128:
            break
        digits += _is_digit(byte)
        letters += _is_letter(byte)
        position += 1
    if position - first >= 12 and digits > 0 and letters > 0:
        count = _add(out, count, document, first - start, position - start, ASSIGNED)
    return count


@inlined
def _begins_as_secret(text, start, position, end):
    if position + 16 > end or (position > start and _in_word(text[position - 1])):
        return False
    code = np.uint32(0)
    for index in range(4):
        code = (code << np.uint32(8)) | np.uint32(text[position + index])
    for prefix in _PREFIXES:
        if prefix == code:
            return True
    for prefix in _SHORT_PREFIXES:
        if prefix == code >> np.uint32(8):
            return True
    return False


@compiled(f"int64({TEXT}, int64[::1], int64, int64[:, ::1])")
def write_stretches(text, offsets, wanted, out):
    count = 0
    numbers = wanted & (1 << PHONE | 1 << IPV4 | 1 << NUMBER | 1 << LETTERED)
    for document in range(len(offsets) - 1):
        start, end = offsets[document], offsets[document + 1]
        numbers_from = colons_from = secrets_from = start
        for position in range(start, end):
            kind = _CLASSES[text[position]]
            if kind == _NOTHING:
                continue
            if kind == _DIGIT or kind == _SIGN:
                if (
                    numbers
                    and position >= numbers_from
                    and (kind == _DIGIT or (position + 1 < end and _is_digit(text[position + 1])))
                ):
                    count, numbers_from = _find_number_stretch(text, start, position, end, wanted, out, count, document)
            elif kind == _AT:
                count = _find_email_stretch(text, start, position, end, wanted, out, count, document)
            elif kind == _SECRET:
                if (
                    wanted >> PREFIXED & 1
                    and position >= secrets_from
                    and _begins_as_secret(text, start, position, end)
                ):
                    count = _add(out, count, document, position - start, position - start + 16, PREFIXED)
                    secrets_from = position + 16
            else:
                if kind == _COLON and position >= colons_from:
                    count, colons_from = _find_ipv6_stretch(text, start, position, end, wanted, out, count, document)
                if wanted >> ASSIGNED & 1:
                    count = _find_assigned_stretch(text, start, position, end, out, count, document)
    return count
