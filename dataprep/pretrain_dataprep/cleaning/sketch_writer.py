"""Writes what repetitions are found by: sketches, keys of bands, keys of spans."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pretrain_dataprep.cleaning.unit_layout import (
    BAND_KEYS,
    BAND_ROWS,
    SHINGLE_ENDS,
    SHINGLES,
    SIGNATURES,
    span_keys,
    span_runs,
    span_values,
)
from pretrain_dataprep.dedup.sketching import Sketcher, Sketches
from pretrain_dataprep.dedup.spans import SPAN, SpanFinder
from pretrain_dataprep.files import NpyWriter, write_array
from pretrain_dataprep.text.batch import TextBatch


class SketchWriter:
    """Writes signatures and shingles as they come, keys sorted at the end."""

    def __init__(self, folder: Path, sketcher: Sketcher) -> None:
        self._folder = folder
        self._signatures = NpyWriter(folder / SIGNATURES, sketcher.dtype, sketcher.row_shape)
        self._shingles = NpyWriter(folder / SHINGLES, np.uint32) if sketcher.keeps_shingles else None
        self._shingle_ends: list[np.ndarray] = []
        self._shingle_count = 0
        self._keys: list[np.ndarray] = []
        self._rows: list[np.ndarray] = []

    def add(self, first_row: int, sketches: Sketches) -> None:
        """Add the sketches of a batch whose first document has the given row."""
        self._signatures.append(sketches.signatures)
        rows = np.flatnonzero(sketches.has_shingles)
        keys = sketches.keys[rows]
        self._keys.append(keys.reshape(-1))
        self._rows.append(np.repeat((first_row + rows).astype(np.uint32), keys.shape[1]))
        if self._shingles is not None and sketches.shingles is not None:
            values, ends = sketches.shingles
            self._shingles.append(values)
            self._shingle_ends.append(self._shingle_count + ends)
            self._shingle_count += len(values)

    def write_sorted(self) -> None:
        """Write the keys, and where each document's shingles end."""
        keys, rows = joined(self._keys, np.uint64), joined(self._rows, np.uint32)
        order = np.argsort(keys, kind="stable")
        write_array(self._folder / BAND_KEYS, keys[order])
        write_array(self._folder / BAND_ROWS, rows[order])
        if self._shingles is not None:
            write_array(self._folder / SHINGLE_ENDS, joined(self._shingle_ends, np.int64))

    def close(self) -> None:
        """Close the files."""
        self._signatures.__exit__(None)
        if self._shingles is not None:
            self._shingles.__exit__(None)


class SpanWriter:
    """Writes the spans of each batch sorted by their keys: a run a batch, so memory doesn't grow with the unit."""

    def __init__(self, folder: Path, kind: str, finder: SpanFinder) -> None:
        self._path = folder / span_runs(kind)
        self._finder = finder
        self._keys = NpyWriter(folder / span_keys(kind), np.uint64)
        self._spans = NpyWriter(folder / span_values(kind), SPAN)
        self._ends: list[int] = []

    def add(self, first_row: int, batch: TextBatch) -> None:
        """Add the spans of a batch whose first document has the given row."""
        keys, spans = self._finder.find(batch)
        order = np.argsort(keys, kind="stable")
        spans["row"] += np.uint32(first_row)
        self._keys.append(keys[order])
        self._spans.append(spans[order])
        self._ends.append((self._ends[-1] if self._ends else 0) + len(keys))

    def write_runs(self) -> None:
        """Write where the runs end."""
        write_array(self._path, np.array(self._ends, np.int64))

    def close(self) -> None:
        """Close the files."""
        self._keys.__exit__(None)
        self._spans.__exit__(None)


def joined(pieces: list[np.ndarray], dtype: type, row_shape: tuple[int, ...] = ()) -> np.ndarray:
    """Join arrays; none give an empty one."""
    return np.concatenate(pieces) if pieces else np.empty((0, *row_shape), dtype)
