"""Writes out the documents that the deduplication removed from a unit (data.keepRemoved)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pretrain_dataprep.cleaned import CleanedUnit
from pretrain_dataprep.cleaning.unit_layout import DOCUMENTS
from pretrain_dataprep.context import StageContext, unit_name
from pretrain_dataprep.dedup.layout import OF_THEMSELVES, REASONS, clusters_folder, rows_name, survivors_name
from pretrain_dataprep.files import atomic_file


def write_duplicates(context: StageContext, unit: CleanedUnit, path: Path) -> None:
    """Write text, path, position, reason and survivor (unit and row in its documents.parquet) of removed documents.

    The survivor is null where no other document stayed instead.
    """
    folder = clusters_folder(context)
    rows, survivors = np.load(folder / rows_name(unit.name)), np.load(folder / survivors_name(unit.name))
    names = [unit_name(source.name, shard) for source, shard in context.units]
    with atomic_file(path) as file:
        writer: pq.ParquetWriter | None = None
        for table, places in _removed_tables(unit, rows):
            some = survivors[places]
            alone = np.isin(some["kind"], OF_THEMSELVES)
            units = [None if none else names[number] for number, none in zip(some["unit"], alone, strict=True)]
            complete = (
                table.append_column("reason", pa.array([REASONS[kind] for kind in some["kind"]], pa.string()))
                .append_column("survivorUnit", pa.array(units, pa.string()))
                .append_column("survivorRow", pa.array(some["row"].astype(np.uint32), mask=alone))
            )
            writer = writer or pq.ParquetWriter(file, complete.schema, compression="zstd")
            writer.write_table(complete)
        if writer is not None:
            writer.close()


def _removed_tables(unit: CleanedUnit, rows: np.ndarray) -> Iterator[tuple[pa.Table, np.ndarray]]:
    """Yield removed documents and their places in `rows`, a row group at a time."""
    source = pq.ParquetFile(unit.folder / DOCUMENTS)
    columns = ["text", "path", "position"]
    # Something without documents comes first, so that a file without any has its schema.
    yield source.schema_arrow.empty_table().select(columns), np.empty(0, np.int64)
    first = 0
    for group in range(source.num_row_groups):
        table = source.read_row_group(group, columns=columns)
        places = np.flatnonzero((rows >= first) & (rows < first + len(table)))
        yield table.take(pa.array(rows[places].astype(np.int64) - first)), places
        first += len(table)
