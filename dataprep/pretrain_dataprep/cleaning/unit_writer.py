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
from pretrain_dataprep.cleaning.sketch_writer import SketchWriter, SpanWriter, joined
from pretrain_dataprep.cleaning.unit_layout import (
    BAD_RECORDS,
    CHARACTERS,
    CONTENT_HASHES,
    CONTENT_ROWS,
    DOCUMENTS,
    EMBEDDINGS,
    IDS,
    REMOVED,
    SIZES,
    STATISTICS,
    excerpt,
)
from pretrain_dataprep.dedup.sketching import Sketcher
from pretrain_dataprep.dedup.spans import SpanFinder
from pretrain_dataprep.files import NpyWriter, json_bytes, write_array
from pretrain_dataprep.sources.interface import BadRecord, Document

_SAMPLES = 3
_COMPRESSION_LEVEL = 1

_DOCUMENT_SCHEMA = pa.schema(
    [
        ("text", pa.large_string()),
        ("path", pa.string()),
        ("position", pa.int64()),
        ("id", pa.uint64()),
        ("tags", pa.list_(pa.string())),
    ]
)
_REMOVED_SCHEMA = pa.schema(
    [("text", pa.large_string()), ("path", pa.string()), ("position", pa.int64()), ("reason", pa.string())]
)


def document_id(source: str, relative_path: str, position: int) -> int:
    """Return the 64-bit identity of a document: where it comes from, whatever the shards are."""
    return xxhash.xxh3_64_intdigest(f"{source}\0{relative_path}\0{position}".encode())


class UnitWriter:
    """Writes the files of one unit into a folder that isn't published yet."""

    def __init__(
        self,
        folder: Path,
        source: str,
        sketcher: Sketcher | None,
        span_finders: dict[str, SpanFinder],
        embedding_dimensions: int | None,
        keep_removed: bool,
        numbers: dict[str, type],
    ) -> None:
        self._folder = folder
        self._source = source
        self._documents = _parquet_writer(folder / DOCUMENTS, _DOCUMENT_SCHEMA)
        self._removed = _parquet_writer(folder / REMOVED, _REMOVED_SCHEMA) if keep_removed else None
        self._sketches = SketchWriter(folder, sketcher) if sketcher is not None else None
        self._spans = [SpanWriter(folder, kind, finder) for kind, finder in span_finders.items()]
        self._embeddings = (
            NpyWriter(folder / EMBEDDINGS, np.int8, (embedding_dimensions,)) if embedding_dimensions else None
        )
        self._number_types = numbers
        self._numbers: dict[str, list[np.ndarray]] = {name: [] for name in numbers}
        self._bad = (folder / BAD_RECORDS).open("wb")
        self._rows = 0
        self._content_hashes: list[np.ndarray] = []
        self._characters: list[np.ndarray] = []
        self._sizes: list[np.ndarray] = []
        self._ids: list[np.ndarray] = []
        self._samples: dict[str, list[str]] = {}
        self._bad_samples: list[str] = []
        self._histogram: Counter[int] = Counter()
        self._contamination: Counter[str] = Counter()
        self.bytes = 0
        """Bytes of text written."""
        self.removed: Counter[str] = Counter()
        self.redacted: Counter[str] = Counter()
        self._removed_lines: Counter[str] = Counter()
        self._languages: Counter[str] = Counter()
        self._language_bytes: Counter[str] = Counter()
        self._tagged: Counter[str] = Counter()

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
        self._contamination.update(cleaned.contamination)
        self._removed_lines.update(cleaned.removed_lines)
        self._languages.update(cleaned.languages)
        self._language_bytes.update(cleaned.language_bytes)
        self._tagged.update(tag for tags in cleaned.tags for tag in tags)
        if len(cleaned.kept) == 0:
            return
        kept = [documents[index] for index in cleaned.kept_from]
        ids = np.array([document_id(self._source, item.relative_path, item.position) for item in kept], np.uint64)
        columns = [
            cleaned.kept.as_column(),
            [item.path for item in kept],
            [item.position for item in kept],
            ids,
            cleaned.tags,
        ]
        table = pa.table([_column(c, f.type) for c, f in zip(columns, _DOCUMENT_SCHEMA, strict=True)], _DOCUMENT_SCHEMA)
        self._documents.write_table(table, row_group_size=max(1, len(kept)))
        self._ids.append(ids)
        self._characters.append(cleaned.characters.astype(np.uint32))
        self._sizes.append(cleaned.kept.sizes().astype(np.uint32))
        self._histogram.update(int(bucket) for bucket in _length_buckets(cleaned.characters))
        self._content_hashes.append(cleaned.content_hashes)
        if self._sketches is not None and cleaned.sketches is not None:
            self._sketches.add(self._rows, cleaned.sketches)
        if self._embeddings is not None and cleaned.embeddings is not None:
            self._embeddings.append(cleaned.embeddings)
        for name, values in cleaned.numbers.items():
            self._numbers[name].append(values)
        for spans in self._spans:
            spans.add(self._rows, cleaned.kept)
        self._rows += len(kept)
        self.bytes += len(cleaned.kept.text)

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

    def finish(self) -> None:
        """Write what needs the whole unit, and close everything."""
        self._write_sorted()
        write_array(self._folder / CHARACTERS, joined(self._characters, np.uint32))
        write_array(self._folder / SIZES, joined(self._sizes, np.uint32))
        write_array(self._folder / IDS, joined(self._ids, np.uint64))
        for name, values in self._numbers.items():
            write_array(self._folder / name, joined(values, self._number_types[name]))
        statistics = {
            "lengthHistogram": {str(bucket): count for bucket, count in sorted(self._histogram.items())},
            "removedSamples": self._samples,
            "removedLines": dict(sorted(self._removed_lines.items())),
            "languages": dict(sorted(self._languages.items())),
            "languageBytes": dict(sorted(self._language_bytes.items())),
            "tagged": dict(sorted(self._tagged.items())),
            "badRecordSamples": self._bad_samples,
            "contamination": dict(sorted(self._contamination.items())),
        }
        (self._folder / STATISTICS).write_bytes(json_bytes(statistics))
        self._close()

    def _write_sorted(self) -> None:
        hashes = joined(self._content_hashes, np.uint64, (2,))
        order = np.lexsort((hashes[:, 1], hashes[:, 0]))
        write_array(self._folder / CONTENT_HASHES, hashes[order])
        write_array(self._folder / CONTENT_ROWS, order.astype(np.uint32))
        if self._sketches is not None:
            self._sketches.write_sorted()
        for spans in self._spans:
            spans.write_runs()

    def abandon(self) -> None:
        """Close the files of a unit that won't be published; the reason is already known."""
        with contextlib.suppress(OSError):
            self._close()

    def _close(self) -> None:
        self._documents.close()
        if self._removed is not None:
            self._removed.close()
        if self._sketches is not None:
            self._sketches.close()
        if self._embeddings is not None:
            self._embeddings.__exit__(None)
        for spans in self._spans:
            spans.close()
        self._bad.close()


def _column(values: Any, kind: pa.DataType) -> pa.Array:
    return values if isinstance(values, pa.Array) else pa.array(values, kind)


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
