"""Payment cards: numbers of 13–19 digits of a known issuer whose check digit is right (ISO/IEC 7812-1).

Written without gaps or in the groups that are printed on cards. One number in ten has the right check digit by chance,
so what is called an order, a parcel, a device or a book is none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from pretrain_dataprep.text.personal.finding import Finding

_NUMBER = re.compile(
    rb"(?<![A-Za-z0-9_.,/\\$%&+-])(?<!\d )\d(?:[ -]?\d){12,18}(?![A-Za-z0-9_]|[ .,:/-]\d|[ -][A-Z0-9]{2}\b)"
)
_GROUPS = {"4444", "44443", "465", "464", "4333", "445"}
_ISSUERS = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})"  # Visa
    r"|(?:5[1-5]\d\d|222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720)\d{12}"  # Mastercard
    r"|3[47]\d{13}"  # American Express
    r"|(?:6011|64[4-9]\d|65\d\d)\d{12}"  # Discover
    r"|(?:30[0-5]\d|3095|36\d\d|3[89]\d\d)\d{10}"  # Diners Club
    r"|35(?:2[89]|[3-8]\d)\d{12}"  # JCB
    r"|62\d{14,17}"  # UnionPay
    r"|(?:5018|5020|5038|5893|6304|6759|676[1-3])\d{8,15}"  # Maestro
)
_SOMETHING_ELSE = re.compile(
    rb"(?:\b(?:order|tracking|parcel|shipment|invoice|imei|isbn|ean|gtin|upc|serial|sku|barcode|ticket|transaction|txn|"
    rb"bestell\w*|auftrag\w*|sendung\w*|rechnung\w*|commande|facture|colis|suivi|pedido|factura|env\xc3\xado|ordine|"
    rb"fattura|spedizione|rastreio|fatura|timestamp)|\xe8\xae\xa2\xe5\x8d\x95\xe5\x8f\xb7?|"
    rb"\xe6\xb3\xa8\xe6\x96\x87\xe7\x95\xaa\xe5\x8f\xb7|"
    rb"\xd0\xb7\xd0\xb0\xd0\xba\xd0\xb0\xd0\xb7)(?:[ _-]?(?:no|nr|number|num|nummer|id|code)\b)?"
    rb"[\"'.:#= \xc2\xb0n\xba\xef\xbc\x9a]{0,6}$",
    re.IGNORECASE,
)
_DATABASE_KEY = re.compile(rb"(?:\b|_)id[\"' :=#]{1,4}$", re.IGNORECASE)
_CONTEXT_BYTES = 40


def find_cards(document: bytes, start: int, end: int) -> Iterator[Finding]:
    """Yield payment cards in a stretch of digits and separators."""
    for match in _NUMBER.finditer(document, start, min(len(document), end + 4)):
        digits = re.sub(rb"[^0-9]", b"", match[0]).decode()
        before = max(0, match.start() - _CONTEXT_BYTES), match.start()
        if not _is_card(match[0], digits) or _DATABASE_KEY.search(document, *before):
            continue
        if not is_something_else(document, match.start()):
            yield Finding(*match.span(), "credit-card", digits)


def is_something_else(document: bytes, position: int) -> bool:
    """Tell whether the words before `position` call what follows an order, a parcel, a device, …."""
    return _SOMETHING_ELSE.search(document, max(0, position - _CONTEXT_BYTES), position) is not None


def _is_card(written: bytes, digits: str) -> bool:
    groups = "".join(str(len(group)) for group in re.split(rb"[ -]", written))
    one_separator = not (b" " in written and b"-" in written)
    printed = len(digits) == len(written) or (one_separator and groups in _GROUPS)
    return printed and _ISSUERS.fullmatch(digits) is not None and has_luhn_digit(digits)


def has_luhn_digit(digits: str) -> bool:
    """Tell whether the last digit is right (ISO/IEC 7812-1, annex B)."""
    total = 0
    for index, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + index % 2)
        total += value - 9 * (value > 9)
    return total % 10 == 0
