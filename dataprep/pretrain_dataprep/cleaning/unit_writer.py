"""Writes the files of a cleaned unit, batch by batch (`unit_layout` says what they are)."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

from pretrain_dataprep.cleaning.pipeline import CleanedBatch
from pretrain_dataprep.cleaning.unit_layout import (
    BAD_RECORDS,
    BAND_KEYS,
    BAND_ROWS,
    CHARACTERS,
    CONTENT_HASHES,
    CONTENT_ROWS,
    DOCUMENTS,
    IDS,
    REMOVED,
    SIGNATURES,
    STATISTICS,
    excerpt,
)
from pretrain_dataprep.files import NpyWriter, json_bytes, write_array
from pretrain_dataprep.sources.interface import BadRecord, Document
from pretrain_dataprep.text.batch import TextBatch

_SAMPLES = 3
_COMPRESSION_LEVEL = 1

_DOCUMENT_SCHEMA = pa.schema(
    [("text", pa.large_string()), ("path", pa.string()), ("position", pa.int64()), ("id", pa.uint64())]
)
_REMOVED_SCHEMA = pa.schema(
    [("text", pa.large_string()), ("path", pa.string()), ("position", pa.int64()), ("reason", pa.string())]
)


def text_column(batch: TextBatch) -> pa.Array:
    """Return the documents as an Arrow column without copying them."""
    buffers = [None, pa.py_buffer(np.ascontiguousarray(batch.offsets)), pa.py_buffer(batch.text)]
    return pa.Array.from_buffers(pa.large_string(), len(batch), buffers)


def document_id(source: str, relative_path: str, position: int) -> int:
    """Return the 64-bit identity of a document: where it comes from, whatever the shards are."""
    return xxhash.xxh3_64_intdigest(f"{source}\0{relative_path}\0{position}".encode())


class UnitWriter:
    """Writes the files of one unit into a folder that isn't published yet."""

    def __init__(self, folder: Path, source: str, permutations: int | None, keep_removed: bool) -> None:
        self._folder = folder
        self._source = source
        self._documents = _parquet_writer(folder / DOCUMENTS, _DOCUMENT_SCHEMA)
        self._removed = _parquet_writer(folder / REMOVED, _REMOVED_SCHEMA) if keep_removed else None
        self._signatures = (
            NpyWriter(folder / SIGNATURES, np.uint32, (permutations,)) if permutations is not None else None
        )
        self._bad = (folder / BAD_RECORDS).open("wb")
        self._rows = 0
        self._content_hashes: list[np.ndarray] = []
        self._band_keys: list[np.ndarray] = []
        self._band_rows: list[np.ndarray] = []
        self._characters: list[np.ndarray] = []
        self._ids: list[np.ndarray] = []
        self._samples: dict[str, list[str]] = {}
        self._bad_samples: list[str] = []
        self._histogram: Counter[int] = Counter()
        self.bytes = 0
        """Bytes of text written."""
        self.removed: Counter[str] = Counter()
        self.redacted: Counter[str] = Counter()

    @property
    def rows(self) -> int:
        """Documents written so far."""
        return self._rows

    def add_bad(self, record: BadRecord) -> None:
        """Set an unreadable record aside."""
        raw = record.raw.decode("utf-8", "backslashreplace")
        line = json.dumps({"location": record.location, "cause": record.cause, "raw": raw}, ensure_ascii=False)
        self._bad.write(line.encode() + b"\n")
        if len(self._bad_samples) < _SAMPLES:
            self._bad_samples.append(f"{record.location}: {record.cause}")

    def add(self, documents: list[Document], cleaned: CleanedBatch) -> None:
        """Write a cleaned batch; `documents` are those that it was made from."""
        self._add_removed(documents, cleaned.removed)
        self.redacted.update(cleaned.redacted)
        if len(cleaned.kept) == 0:
            return
        kept = [documents[index] for index in cleaned.kept_from]
        ids = np.array([document_id(self._source, item.relative_path, item.position) for item in kept], np.uint64)
        columns = [text_column(cleaned.kept), [item.path for item in kept], [item.position for item in kept], ids]
        table = pa.table([_column(c, f.type) for c, f in zip(columns, _DOCUMENT_SCHEMA, strict=True)], _DOCUMENT_SCHEMA)
        self._documents.write_table(table, row_group_size=max(1, len(kept)))
        self._ids.append(ids)
        self._characters.append(cleaned.characters.astype(np.uint32))
        self._histogram.update(int(bucket) for bucket in _length_buckets(cleaned.characters))
        self._content_hashes.append(cleaned.content_hashes)
        self._add_sketches(cleaned)
        self._rows += len(kept)
        self.bytes += len(cleaned.kept.text)

    def _add_sketches(self, cleaned: CleanedBatch) -> None:
        if self._signatures is None or cleaned.sketches is None:
            return
        self._signatures.append(cleaned.sketches.signatures)
        rows = np.flatnonzero(cleaned.sketches.has_shingles)
        keys = cleaned.sketches.band_keys[rows]
        self._band_keys.append(keys.reshape(-1))
        self._band_rows.append(np.repeat((self._rows + rows).astype(np.uint32), keys.shape[1]))

    def _add_removed(self, documents: list[Document], removed: list[tuple[int, str]]) -> None:
        for index, reason in removed:
            self.removed[reason] += 1
            samples = self._samples.setdefault(reason, [])
            if len(samples) < _SAMPLES:
                document = documents[index]
                samples.append(excerpt(f"{document.path}@{document.position}", document.text))
        if self._removed is not None and removed:
            items = [documents[index] for index, _ in removed]
            columns = [
                [item.text for item in items],
                [item.path for item in items],
                [item.position for item in items],
                [reason for _, reason in removed],
            ]
            arrays = [_column(c, f.type) for c, f in zip(columns, _REMOVED_SCHEMA, strict=True)]
            self._removed.write_table(pa.table(arrays, _REMOVED_SCHEMA), row_group_size=max(1, len(items)))

    def finish(self) -> list[str]:
        """Write what needs the whole unit, close everything, return the names of the files."""
        self._write_sorted()
        write_array(self._folder / CHARACTERS, _joined(self._characters, np.uint32))
        write_array(self._folder / IDS, _joined(self._ids, np.uint64))
        statistics = {
            "lengthHistogram": {str(bucket): count for bucket, count in sorted(self._histogram.items())},
            "removedSamples": self._samples,
            "badRecordSamples": self._bad_samples,
        }
        (self._folder / STATISTICS).write_bytes(json_bytes(statistics))
        self._close()
        return sorted(path.name for path in self._folder.iterdir())

    def _write_sorted(self) -> None:
        hashes = _joined(self._content_hashes, np.uint64, (2,))
        order = np.lexsort((hashes[:, 1], hashes[:, 0]))
        write_array(self._folder / CONTENT_HASHES, hashes[order])
        write_array(self._folder / CONTENT_ROWS, order.astype(np.uint32))
        if self._signatures is not None:
            keys = _joined(self._band_keys, np.uint64)
            rows = _joined(self._band_rows, np.uint32)
            order = np.argsort(keys, kind="stable")
            write_array(self._folder / BAND_KEYS, keys[order])
            write_array(self._folder / BAND_ROWS, rows[order])

    def abandon(self) -> None:
        """Close the files of a unit that won't be published; the reason is already known."""
        with contextlib.suppress(OSError):
            self._close()

    def _close(self) -> None:
        self._documents.close()
        if self._removed is not None:
            self._removed.close()
        if self._signatures is not None:
            self._signatures.__exit__(None)
        self._bad.close()


def _column(values: Any, kind: pa.DataType) -> pa.Array:
    return values if isinstance(values, pa.Array) else pa.array(values, kind)


def _joined(pieces: list[np.ndarray], dtype: type, row_shape: tuple[int, ...] = ()) -> np.ndarray:
    return np.concatenate(pieces) if pieces else np.empty((0, *row_shape), dtype)


def _length_buckets(characters: np.ndarray) -> np.ndarray:
    """Return the greatest power of two that isn't above each length (0 for 0)."""
    return np.where(characters > 0, 1 << np.log2(np.maximum(characters, 1)).astype(np.int64), 0)


def _parquet_writer(path: Path, schema: pa.Schema) -> pq.ParquetWriter:
    return pq.ParquetWriter(
        path,
        schema,
        compression="zstd",
        compression_level=_COMPRESSION_LEVEL,
        use_dictionary=["path", "reason"],
        write_statistics=False,
    )
