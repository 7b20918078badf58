"""Writes documents as plain files, JSON lines or Parquet: what is left, and what was removed."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

from pretrain_dataprep.cleaned import CleanedUnit, load_corpus
from pretrain_dataprep.cleaning.unit_layout import DOCUMENTS, REMOVED
from pretrain_dataprep.context import StageContext
from pretrain_dataprep.duplicates import write_duplicates
from pretrain_dataprep.files import atomic_file
from pretrain_dataprep.surviving import kept_mask, read_surviving

Tables = Callable[[StageContext, CleanedUnit], Iterator[pa.Table]]
SUFFIXES = {"jsonl": ".jsonl.zst", "parquet": ".parquet"}
_COMPRESSION_LEVEL = 3


def write_documents(context: StageContext, folder: Path, output_format: str) -> int:
    """Write what survived of each unit; return the number of documents.

    A record has text, path, position (as in sources/interface.Document) and source of a document.
    """
    return _write_all(context, folder, output_format, surviving_tables)


def write_removed(context: StageContext, folder: Path, output_format: str) -> int:
    """Write what was removed of each unit, with reasons, duplicates with their survivors; return their number."""
    return _write_all(context, folder, output_format, _removed_tables)


def surviving_tables(context: StageContext, unit: CleanedUnit) -> Iterator[pa.Table]:
    """Yield text, path and position of the documents that are left, a row group at a time."""
    kept = kept_mask(context, unit)
    file = pq.ParquetFile(unit.folder / DOCUMENTS, memory_map=True)
    # Something without documents comes first, so that a file without any has its schema.
    yield file.schema_arrow.empty_table().select(["text", "path", "position"])
    for number, group in enumerate(read_surviving(context, unit)):
        places = pa.array(np.flatnonzero(kept[group.first_row : group.first_row + len(group.texts)]))
        origin = file.read_row_group(number, columns=["path", "position"])
        columns = {"text": group.texts, "path": origin["path"], "position": origin["position"]}
        yield pa.table(columns).take(places)


def _removed_tables(context: StageContext, unit: CleanedUnit) -> Iterator[pa.Table]:
    by_rules = pq.read_table(unit.folder / REMOVED)
    with tempfile.TemporaryDirectory(prefix="pretrain-removed-") as folder:
        path = Path(folder, "duplicates.parquet")
        write_duplicates(context, unit, path)
        yield pa.concat_tables([by_rules, pq.read_table(path)], promote_options="default")


def _write_all(context: StageContext, folder: Path, output_format: str, tables: Tables) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    units = load_corpus(context).units
    paths = {unit.name: folder / f"{unit.name}{SUFFIXES[output_format]}" for unit in units}
    for path in folder.iterdir():
        if path not in paths.values() and path.name.endswith(tuple(SUFFIXES.values())):
            path.unlink()  # of earlier options
    write = _write_jsonl if output_format == "jsonl" else _write_parquet
    rows = 0
    for unit in units:
        with atomic_file(paths[unit.name]) as file:
            rows += write(file, _with_source(tables(context, unit), unit.source.name))
    return rows


def _with_source(tables: Iterator[pa.Table], name: str) -> Iterator[pa.Table]:
    for table in tables:
        yield table.append_column("source", pa.array([name] * len(table), pa.string()))


def _write_jsonl(file: IO[bytes], tables: Iterator[pa.Table]) -> int:
    rows = 0
    with zstandard.ZstdCompressor(_COMPRESSION_LEVEL).stream_writer(file, closefd=False) as out:
        for table in tables:
            rows += len(table)
            out.write(b"".join(orjson.dumps(record) + b"\n" for record in table.to_pylist()))
    return rows


def _write_parquet(file: IO[bytes], tables: Iterator[pa.Table]) -> int:
    first = next(tables)
    rows = len(first)
    with pq.ParquetWriter(file, first.schema, compression="zstd") as writer:
        writer.write_table(first)
        for table in tables:
            writer.write_table(table)
            rows += len(table)
    return rows
