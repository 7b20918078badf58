"""Passages taken out of documents."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

LEAST_LEFT_BYTES = 100
"""A document with less text left after passages were cut out of it is removed as a whole."""


def merged(spans: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Yield the union of byte ranges as ranges that don't touch, in order."""
    current: tuple[int, int] | None = None
    for start, end in sorted(spans):
        if current is not None and start <= current[1]:
            current = (current[0], max(current[1], end))
        else:
            if current is not None:
                yield current
            current = (start, end)
    if current is not None:
        yield current


def without(document: bytes, spans: Iterable[tuple[int, int]]) -> bytes:
    """Return a document without the bytes in the given ranges, and without blanks at its beginning and end."""
    pieces, position = [], 0
    for start, end in merged(spans):
        pieces.append(document[position:start])
        position = end
    return b"".join([*pieces, document[position:]]).strip()
