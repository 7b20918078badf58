"""What is cut out of the documents of each unit: gathered from all key ranges, merged, and written by unit."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pretrain_dataprep.cleaned import CleanedCorpus, CleanedUnit
from pretrain_dataprep.cleaning.unit_layout import SIZES
from pretrain_dataprep.dedup.spans import SPAN, as_spans
from pretrain_dataprep.kernels.passages import merge_spans
from pretrain_dataprep.text.cuts import LEAST_LEFT_BYTES

_SPANS_AT_A_TIME = 1 << 22


class UnitCuts(NamedTuple):
    """What is cut out of one unit."""

    spans: np.ndarray
    """SPAN, shape (cuts,): sorted, none touches another of its document; of documents that stay."""
    emptied: np.ndarray
    """uint32, shape (documents,): rows of documents of which too little would be left: they go as a whole."""
    bytes: int
    """Bytes cut out of documents that stay."""


class CutCollector:
    """Sorts spans by units. What doesn't fit into memory waits in files."""

    def __init__(self, corpus: CleanedCorpus, folder: Path) -> None:
        self._corpus = corpus
        self._folder = folder
        self._folder.mkdir()
        self._waiting: list[tuple[np.ndarray, np.ndarray]] = []
        self._count = 0
        self.spans: Counter[str] = Counter()
        """Spans that go, by kind, before those that touch are merged."""

    def add(self, kind: str, ids: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> None:
        """Add bytes [start, end) of the documents with the given global ids."""
        units = np.searchsorted(self._corpus.first_ids[:-1], ids, side="right") - 1
        rows = (ids - self._corpus.first_ids[units]).astype(np.uint32)
        self._waiting.append((units, as_spans(rows, starts, ends)))
        self._count += len(ids)
        self.spans[kind] += len(ids)
        if self._count >= _SPANS_AT_A_TIME:
            self._write()

    def _write(self) -> None:
        """Append what waits to a file for each unit."""
        units = np.concatenate([units for units, _ in self._waiting])
        spans = np.concatenate([spans for _, spans in self._waiting])
        order = np.argsort(units, kind="stable")
        units, spans = units[order], spans[order]
        for part in np.split(np.arange(len(units)), np.flatnonzero(np.diff(units)) + 1):
            with self._path(int(units[part[0]])).open("ab") as file:
                file.write(spans[part].tobytes())
        self._waiting, self._count = [], 0

    def _path(self, unit: int) -> Path:
        return self._folder / f"{unit}.spans"

    def of(self, unit: CleanedUnit) -> UnitCuts:
        """Return a unit's cuts, once everything is added."""
        if self._count:
            self._write()
        path = self._path(self._corpus.units.index(unit))
        spans = np.fromfile(path, SPAN) if path.exists() else np.empty(0, SPAN)
        return _merged(spans, unit.array(SIZES) if len(spans) else np.empty(0, np.uint32))

    def remove(self) -> None:
        """Remove the files."""
        for path in self._folder.iterdir():
            path.unlink()
        self._folder.rmdir()


def _merged(spans: np.ndarray, sizes: np.ndarray) -> UnitCuts:
    """Return the union of a unit's spans; `sizes`: bytes of its documents."""
    spans = spans[np.lexsort((spans["start"], spans["row"]))]
    rows, starts, ends = (np.ascontiguousarray(spans[name]) for name in ("row", "start", "end"))
    count = merge_spans(rows, starts, ends)
    rows, starts, ends = rows[:count], starts[:count], ends[:count]
    cut = np.bincount(rows, weights=ends - starts, minlength=len(sizes)).astype(np.int64)
    is_emptied = (cut > 0) & (sizes - cut < LEAST_LEFT_BYTES)
    stays = ~is_emptied[rows]
    return UnitCuts(
        as_spans(rows[stays], starts[stays], ends[stays]),
        np.flatnonzero(is_emptied).astype(np.uint32),
        int(cut[~is_emptied].sum()),
    )
