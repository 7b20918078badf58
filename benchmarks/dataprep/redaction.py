"""Redaction of all kinds, beside the same expressions searched through the whole text, as one writes it first."""

from __future__ import annotations

import re

from benchmarks.dataprep.ours import least
from pretrain_dataprep.text.batch import TextBatch
from pretrain_dataprep.text.personal import cards, contacts, identifiers, secrets
from pretrain_dataprep.text.pii import KINDS, Redactor

_WHOLE_TEXT_FINDERS = (
    contacts.find_emails,
    contacts.find_phones,
    contacts.find_ipv4,
    contacts.find_ipv6,
    cards.find_cards,
    identifiers.find_identifiers,
)
_NAME = re.compile(secrets.NAME.pattern.removesuffix(b"$"), re.IGNORECASE)
_SECRETS = (secrets.PREFIXED, secrets.PRIVATE_KEY, secrets.CREDENTIALS, identifiers.FISCAL_CODE, _NAME)


def redaction_seconds(texts: list[str]) -> float:
    """Measure redaction of all kinds, from strings to redacted bytes."""
    redactor = Redactor(KINDS, 1)
    return least(lambda: redactor.redact(TextBatch.of(text.encode() for text in texts)))


def plain_seconds(texts: list[str]) -> float:
    """Measure the search for the same by `re` alone."""
    return least(lambda: [search(text.encode()) for text in texts], repeats=1)


def search(document: bytes) -> int:
    """Return how much the expressions find in a whole text."""
    found = sum(1 for finder in _WHOLE_TEXT_FINDERS for _ in finder(document, 0, len(document)))
    return found + sum(1 for pattern in _SECRETS for _ in pattern.finditer(document))
