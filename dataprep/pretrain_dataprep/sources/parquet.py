"""Parquet files: the text column of the row groups that start in a chunk's byte range, a few megabytes at a time.

Cutting by bytes needs no footer when files are listed; each row group belongs to the chunk in which its first column
starts, so that every row is read once whatever the size of the chunks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from pretrain_dataprep.errors import DamagedFileError, InputError
from pretrain_dataprep.sources.interface import BadRecord, Chunk, Record
from pretrain_dataprep.sources.records import decode_value

BATCH_BYTES = 8 << 20
"""Text that is decoded at a time."""

_MAX_BATCH_ROWS = 8192
_NAMES_SHOWN = 12
_SAMPLED_ROWS = 16
_BUFFER_BYTES = 1 << 20
_FOOTER_TAIL_BYTES = 8
"""Length of the footer (4 bytes) and the magic number at the end of a file."""
_MAX_EXPANSION = 1000
_EXPANSION_COUNTS_FROM_BYTES = 256 << 20
"""Text compresses some 5-fold, boilerplate some 50-fold; a larger column that shrinks 1,000-fold is a bomb."""


class RowGroup(NamedTuple):
    """A row group and where it lies."""

    number: int
    first_row: int
    start: int
    """Byte at which the first column starts."""
    end: int
    """Byte at which the next row group, or the footer, starts."""


class ParquetTable:
    """An opened Parquet file. Errors of the file are InputErrors that name it."""

    def __init__(self, file: BinaryIO, chunk: Chunk) -> None:
        self._chunk = chunk
        with self._damage():
            # Without pre-buffering a column is read page by page, however large its row group is.
            self._file = pq.ParquetFile(
                file, pre_buffer=False, buffer_size=_BUFFER_BYTES, page_checksum_verification=True
            )
            self._groups = list(self._locate_groups())

    @contextmanager
    def _damage(self) -> Iterator[None]:
        try:
            yield
        except (pa.ArrowException, OSError, ValueError) as error:
            cause = " ".join(str(error).split())[:200]
            raise DamagedFileError(
                f"{self._chunk.path}: the Parquet file is damaged: {cause}; copy it again or leave it out"
            ) from error

    def _locate_groups(self) -> Iterator[RowGroup]:
        metadata = self._file.metadata
        footer = self._chunk.size - metadata.serialized_size - _FOOTER_TAIL_BYTES
        starts = [self._start(index) for index in range(metadata.num_row_groups)]
        first_row = 0
        for index, (start, end) in enumerate(zip(starts, [*starts[1:], footer], strict=False)):
            yield RowGroup(index, first_row, start, max(end, start))
            first_row += metadata.row_group(index).num_rows

    def _start(self, index: int) -> int:
        group = self._file.metadata.row_group(index)
        if group.num_columns == 0:
            return 0
        column = group.column(0)
        start: int = column.dictionary_page_offset or column.data_page_offset
        # A nonsensical offset must not keep the group from being read, and refused, by some chunk.
        return start if 0 <= start < self._chunk.size else 0

    def groups(self) -> list[RowGroup]:
        """Return the row groups that belong to the chunk."""
        return [group for group in self._groups if self._chunk.start <= group.start < self._chunk.end]

    def read_ranges(self) -> list[tuple[int, int]]:
        """Return the byte ranges that reading the chunk reads: its row groups and the footer."""
        footer = self._chunk.size - self._file.metadata.serialized_size - _FOOTER_TAIL_BYTES
        return [(group.start, group.end) for group in self.groups()] + [(max(0, footer), self._chunk.size)]

    def records(self, text_field: str) -> Iterator[Record]:
        """Yield the chunk's rows. Positions are numbers of rows from 0, lines of bad records from 1.

        Raises:
            InputError: the file is damaged, or has no text column `text_field`.
        """
        if not self.groups():
            return
        path = _text_column(self._file.schema_arrow, text_field, self._chunk)
        column = self._column_index(".".join(path))
        for group in self.groups():
            row = group.first_row
            if cause := self._bomb(group.number, column):
                yield BadRecord(self._chunk.path, row + 1, cause, b"")
                continue
            for values in self._batches(group.number, path, column):
                for value in values:
                    yield decode_value(value, self._chunk, text_field, row)
                    row += 1

    def _column_index(self, path: str) -> int:
        schema = self._file.metadata.schema
        return next(index for index in range(len(schema)) if schema.column(index).path == path)

    def _bomb(self, group: int, column: int) -> str | None:
        chunk = self._file.metadata.row_group(group).column(column)
        expansion = chunk.total_uncompressed_size / max(1, chunk.total_compressed_size)
        if chunk.total_uncompressed_size < _EXPANSION_COUNTS_FROM_BYTES or expansion < _MAX_EXPANSION:
            return None
        return f"row group {group} expands {expansion:,.0f}-fold to {chunk.total_uncompressed_size:,} bytes"

    def _batches(self, group: int, path: list[str], column: int) -> Iterator[list[bytes | None]]:
        rows = self._rows_a_batch(group, path, column)
        iterator = self._file.iter_batches(rows, row_groups=[group], columns=[".".join(path)], use_threads=False)
        while True:
            with self._damage():
                batch = next(iterator, None)
            if batch is None:
                return
            with self._damage():
                values = _values(batch, path)
            yield values

    def _rows_a_batch(self, group: int, path: list[str], column: int) -> int:
        """Return how many rows hold about BATCH_BYTES: by the sizes in the footer, and by the first rows.

        The footer doesn't know how often an entry of a dictionary is repeated.
        """
        metadata = self._file.metadata.row_group(group)
        if metadata.num_rows <= _SAMPLED_ROWS:
            return _SAMPLED_ROWS
        row_bytes = metadata.column(column).total_uncompressed_size / metadata.num_rows
        with self._damage():
            names = [".".join(path)]
            sample = next(self._file.iter_batches(_SAMPLED_ROWS, row_groups=[group], columns=names, use_threads=False))
            row_bytes = max(row_bytes, sample.nbytes / _SAMPLED_ROWS, 1)
        return int(min(_MAX_BATCH_ROWS, max(1, BATCH_BYTES // row_bytes)))


def _text_column(schema: pa.Schema, text_field: str, chunk: Chunk) -> list[str]:
    """Return the path of the text column: a column of that name, or fields of structs divided by dots."""
    path = [text_field] if text_field in schema.names else text_field.split(".")
    kind: Any = pa.struct(list(schema))
    for name in path:
        index = kind.get_field_index(name) if pa.types.is_struct(kind) else -1
        if index < 0:
            names = ", ".join(map(repr, _field_names(schema)[:_NAMES_SHOWN]))
            raise InputError(
                f"{chunk.path}: no column {text_field!r}; the file has {names}; set the source's textField"
            )
        kind = kind.field(index).type
    value = kind.value_type if pa.types.is_dictionary(kind) else kind
    if not (_is_text(value) or pa.types.is_null(value)):
        raise InputError(f"{chunk.path}: column {text_field!r} is of type {kind}, not text; set the source's textField")
    return path


def _field_names(fields: Iterable[pa.Field], prefix: str = "") -> list[str]:
    """Return the names of columns, and of the fields of structs with dots."""
    names: list[str] = []
    for field in fields:
        struct = pa.types.is_struct(field.type)
        names += _field_names(field.type, f"{prefix}{field.name}.") if struct else [prefix + field.name]
    return names


def _is_text(kind: pa.DataType) -> bool:
    types = pa.types
    checks = (types.is_string, types.is_large_string, types.is_string_view)
    binary_checks = (types.is_binary, types.is_large_binary, types.is_binary_view)
    return any(check(kind) for check in checks + binary_checks)


def _values(batch: pa.RecordBatch, path: list[str]) -> list[bytes | None]:
    """Return a batch's values as bytes: strings in files need not be UTF-8, and Arrow doesn't look."""
    column = batch.column(0)
    for name in path[1:]:
        # Flattening takes the nulls of the struct over to its field.
        field = column.type.get_field_index(name)
        column = column.flatten()[field]
    if pa.types.is_dictionary(column.type):
        words = column.dictionary.cast(pa.large_binary()).to_pylist()
        return [None if index is None else words[index] for index in column.indices.to_pylist()]
    values: list[bytes | None] = column.cast(pa.large_binary()).to_pylist()
    return values
