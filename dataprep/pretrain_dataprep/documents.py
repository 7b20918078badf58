"""Reads the documents of a cleaned unit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pretrain_dataprep.cleaned import CleanedUnit
from pretrain_dataprep.cleaning.unit_layout import DOCUMENTS
from pretrain_dataprep.errors import TemporaryError


class CleanedDocument(NamedTuple):
    """A document and where it came from."""

    text: str
    path: str
    position: int

    @property
    def location(self) -> str:
        """Return `path@position`."""
        return f"{self.path}@{self.position}"


class RowGroup(NamedTuple):
    """Documents that are next to each other in a unit."""

    first_row: int
    texts: pa.Array
    """Large strings, shape (documents,)."""


def _open(unit: CleanedUnit) -> pq.ParquetFile:
    path = unit.folder / DOCUMENTS
    try:
        return pq.ParquetFile(path, memory_map=True)
    except pa.ArrowInvalid as error:
        raise TemporaryError(
            f"{path}: the file is damaged ({error}); delete {unit.folder} and run the clean stage again"
        ) from error


def read_row_groups(unit: CleanedUnit) -> Iterator[RowGroup]:
    """Yield the texts of a unit a row group at a time: what bounds the memory."""
    file = _open(unit)
    row = 0
    for index in range(file.num_row_groups):
        texts = file.read_row_group(index, columns=["text"]).column("text").combine_chunks()
        array = texts.chunk(0) if isinstance(texts, pa.ChunkedArray) else texts
        yield RowGroup(row, array)
        row += len(array)


def read_rows(unit: CleanedUnit, rows: list[int]) -> list[CleanedDocument]:
    """Return a few documents by their rows."""
    file = _open(unit)
    ends = np.cumsum([file.metadata.row_group(index).num_rows for index in range(file.num_row_groups)])
    documents = []
    for row in rows:
        group = int(np.searchsorted(ends, row, side="right"))
        first = int(ends[group - 1]) if group else 0
        record = file.read_row_group(group, columns=["text", "path", "position"]).slice(row - first, 1).to_pylist()[0]
        documents.append(CleanedDocument(record["text"], record["path"], record["position"]))
    return documents
