"""A piece of personal data in a document."""

from __future__ import annotations

from typing import NamedTuple


class Finding(NamedTuple):
    """A piece of personal data at bytes [start, end) of a document."""

    start: int
    end: int
    kind: str
    value: str
    """Normalised: the same for every way of writing it."""
