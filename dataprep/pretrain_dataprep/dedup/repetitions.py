"""Spans that occur more than once, found range by range of their keys."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pretrain_dataprep.cleaned import CleanedUnit
from pretrain_dataprep.cleaning.unit_layout import IDS, span_keys, span_runs, span_values
from pretrain_dataprep.dedup.edges import KEYS_AT_A_TIME, key_slice, pieces

REPEATED = np.dtype([("id", "<i8"), ("start", "<u4"), ("end", "<u4"), ("leads", "?")])
"""Bytes [start, end) of the document with a global id; `leads`: the first of those with equal keys."""


def repeated_spans(units: list[CleanedUnit], kind: str, low: int, high: int) -> Iterator[np.ndarray]:
    """Yield the spans whose key is in [low, high) and not theirs alone, at most 2²² looked at a time.

    Spans with equal keys are next to each other, in the order in which one of them is to stay: by the order of the
    sources, where their documents come from, and where in the document they begin.
    """

    def count(piece_low: int, piece_high: int) -> int:
        parts = (key_slice(keys, piece_low, piece_high) for unit in units for keys, _ in _runs(unit, kind))
        return sum(part.stop - part.start for part in parts)

    for piece in pieces(count, low, high, KEYS_AT_A_TIME):
        yield _repeated(units, kind, *piece)


def _runs(unit: CleanedUnit, kind: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the sorted runs of a unit's keys, each with its spans."""
    keys, spans = unit.array(span_keys(kind)), unit.array(span_values(kind))
    first = 0
    for end in unit.array(span_runs(kind)):
        yield keys[first:end], spans[first:end]
        first = int(end)


def _repeated(units: list[CleanedUnit], kind: str, low: int, high: int) -> np.ndarray:
    keys, spans, ids, sources, identities = [np.empty(0, np.uint64)], [], [], [], []
    order_of_sources: dict[str, int] = {}
    for unit in units:
        source = order_of_sources.setdefault(unit.source.name, len(order_of_sources))
        for run_keys, run_spans in _runs(unit, kind):
            part = key_slice(run_keys, low, high)
            some = np.asarray(run_spans[part])
            keys.append(np.asarray(run_keys[part]))
            spans.append(some)
            ids.append(some["row"].astype(np.int64) + unit.first_id)
            sources.append(np.full(len(some), source, np.uint16))
            identities.append(unit.array(IDS)[some["row"]])
    joined = np.concatenate(keys)
    if len(joined) == 0:
        return np.empty(0, REPEATED)
    shared = _shared(joined)
    joined = joined[shared]
    result = np.empty(len(joined), REPEATED)
    result["id"] = np.concatenate(ids)[shared]
    for name in ("start", "end"):
        result[name] = np.concatenate([some[name] for some in spans])[shared]
    order = np.lexsort((result["start"], np.concatenate(identities)[shared], np.concatenate(sources)[shared], joined))
    result, joined = result[order], joined[order]
    result["leads"] = np.concatenate([[True], joined[1:] != joined[:-1]])[: len(joined)]
    return result


def _shared(keys: np.ndarray) -> np.ndarray:
    """Return which keys occur more than once: bool, shape (keys,)."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    equal = ordered[1:] == ordered[:-1]
    repeated = np.zeros(len(keys), bool)
    repeated[order[1:][equal]] = True
    repeated[order[:-1][equal]] = True
    return repeated


def superfluous(repeated: np.ndarray, is_removed: np.ndarray) -> np.ndarray:
    """Return the repeated spans that go: all but the first of those with equal keys whose document isn't removed.

    Args:
        repeated: REPEATED, shape (spans,), as `repeated_spans` yields them.
        is_removed: bool, shape (spans,): whether a span's document is removed as a whole.
    """
    groups = np.cumsum(repeated["leads"])[~is_removed]
    left = repeated[~is_removed]
    follows = np.zeros(len(left), bool)
    follows[1:] = groups[1:] == groups[:-1]
    going: np.ndarray = left[follows]
    return going
