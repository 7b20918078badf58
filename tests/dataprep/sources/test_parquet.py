"""Parquet files: which rows a chunk reads, in how much memory, and what is wrong with the others."""

from __future__ import annotations

import contextlib
import random
import resource
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pretrain_api.spec.data import Source as SourceSpec
from pretrain_dataprep.errors import DamagedFileError, InputError
from pretrain_dataprep.sources import parquet, records
from pretrain_dataprep.sources.files import MAX_CHUNK_BYTES, MIN_CHUNK_BYTES, FileSource, chunk_bytes
from pretrain_dataprep.sources.interface import BadRecord, Document, Record
from pretrain_dataprep.sources.opening import chunks_of_shard


def source(uri: object, chunk_bytes: int | None = None, **fields: object) -> FileSource:
    return FileSource(SourceSpec(name="web", uri=str(uri), **fields), chunk_bytes=chunk_bytes)  # type: ignore[arg-type]


def read_all(files: FileSource) -> list[Record]:
    return [record for chunk in files.chunks() for record in files.read(chunk)]


def write(path: Path, texts: Sequence[str | bytes | None], kind: pa.DataType | None = None, **options: Any) -> Path:
    column = pa.array(texts, kind or pa.string())
    pq.write_table(pa.table({"id": pa.array(range(len(texts))), "text": column}), path, **options)
    return path


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    texts=st.lists(st.one_of(st.none(), st.text(max_size=40)), max_size=60),
    rows=st.integers(1, 20),
    size=st.integers(100, 3000),
)
def test_chunks_of_any_size_read_the_same_rows(tmp_path: Path, texts: list[str | None], rows: int, size: int) -> None:
    path = write(tmp_path / "a.parquet", texts, row_group_size=rows)
    whole = read_all(source(path))
    assert read_all(source(path, size)) == whole
    assert [record.text for record in whole if isinstance(record, Document)] == [
        text for text in texts if text is not None
    ]
    for record in whole:
        if isinstance(record, BadRecord):
            assert texts[record.line - 1] is None
            assert record.cause == "field 'text' is null"
        else:
            assert texts[record.position] == record.text


@pytest.mark.parametrize(
    "kind",
    [
        pa.string(),
        pa.large_string(),
        pa.string_view(),
        pa.binary(),
        pa.large_binary(),
        pa.dictionary(pa.int32(), pa.string()),
        pa.dictionary(pa.int8(), pa.large_string()),
    ],
    ids=str,
)
def test_columns_of_text(tmp_path: Path, kind: pa.DataType) -> None:
    texts = ["one", "zwei ü", None, "one", ""] * 20
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": pa.array([text and text for text in texts], pa.string()).cast(kind)}), path)
    found = [record.text if isinstance(record, Document) else None for record in read_all(source(path))]
    assert found == texts


def test_fields_of_structs(tmp_path: Path) -> None:
    rows = [{"doc": {"body": {"text": "one"}, "n": 1}}, {"doc": None}, {"doc": {"body": None, "n": 2}}]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    with pytest.raises(InputError, match=r"no column 'doc\.text'; the file has 'doc\.body\.text', 'doc\.n'; set"):
        read_all(source(tmp_path, text_field="doc.text"))
    first, *bad = read_all(source(tmp_path, text_field="doc.body.text"))
    assert isinstance(first, Document)
    assert first.text == "one"
    assert [record.location for record in bad if isinstance(record, BadRecord)] == [
        f"{tmp_path}/a.parquet:2",
        f"{tmp_path}/a.parquet:3",
    ]


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ("body", r"a\.parquet: no column 'body'; the file has 'id', 'text'; set the source's textField"),
        ("text.body", r"no column 'text\.body'"),
        ("id", r"column 'id' is of type int64, not text"),
    ],
)
def test_files_without_the_column(tmp_path: Path, field: str, message: str) -> None:
    write(tmp_path / "a.parquet", ["one"])
    with pytest.raises(InputError, match=message):
        read_all(source(tmp_path, text_field=field))


def test_bad_values_are_set_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "MAX_RECORD_BYTES", 100)
    column = pa.array([b"one", b"x\xff", b"y" * 101, b"two\0"], pa.binary()).view(pa.string())
    pq.write_table(pa.table({"text": column}), tmp_path / "a.parquet")
    first, second, third, fourth = read_all(source(tmp_path))
    assert isinstance(first, Document)
    assert isinstance(second, BadRecord)
    assert (second.line, second.cause) == (2, "invalid UTF-8 at byte 2 of field 'text'")
    assert isinstance(third, BadRecord)
    assert third.cause == "the document is longer than 100 bytes"
    assert isinstance(fourth, Document)
    assert fourth.text == "two\0"


def test_empty_files(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet", [])
    assert read_all(source(tmp_path)) == []
    (tmp_path / "b.parquet").touch()
    with pytest.raises(DamagedFileError, match=r"b\.parquet: the Parquet file is damaged"):
        read_all(source(tmp_path))


@settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), compression=st.sampled_from(["none", "zstd", "snappy"]), version=st.sampled_from(["1.0", "2.0"]))
def test_damaged_files_are_refused_or_read(tmp_path: Path, data: st.DataObject, compression: str, version: Any) -> None:
    texts = [f"text number {number} " * (number % 7) for number in range(50)]
    options = {"row_group_size": 20, "compression": compression, "data_page_version": version}
    content = bytearray(write(tmp_path / "a.parquet", texts, **options).read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    (tmp_path / "a.parquet").write_bytes(content[: data.draw(st.integers(0, len(content)))] or content)
    with contextlib.suppress(InputError):
        files = source(tmp_path)
        assert all(isinstance(record, Document | BadRecord) for record in read_all(files))
        files.fingerprint(files.chunks()[0])


def test_a_changed_byte_is_noticed_by_checksums(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", ["some text"] * 3, compression="none", write_page_checksum=True)
    path.write_bytes(path.read_bytes().replace(b"some text", b"same text"))
    with pytest.raises(DamagedFileError, match="CRC checksum"):
        read_all(source(tmp_path))


def test_fingerprints_are_of_the_rows_that_are_read(tmp_path: Path) -> None:
    texts = [f"text number {number}" for number in range(60)]
    path = write(tmp_path / "a.parquet", texts, row_group_size=20, use_dictionary=False, compression="none")
    files = source(path, 500)
    groups = {chunk.label: files.fingerprint(chunk) for chunk in files.chunks() if list(files.read(chunk))}
    assert len(set(groups.values())) == 3
    path.write_bytes(path.read_bytes().replace(b"text number 25", b"text number xx", 1))
    changed = [chunk for chunk in files.chunks() if groups.get(chunk.label) not in (None, files.fingerprint(chunk))]
    (chunk,) = changed
    assert "text number xx" in [record.text for record in files.read(chunk) if isinstance(record, Document)]


def test_repeated_entries_of_a_dictionary_take_no_memory(tmp_path: Path) -> None:
    """8 GB of text from 1 MB."""
    entry, rows = "x" * 1_000_000, 8_000
    column = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), pa.array([entry]))
    pq.write_table(pa.table({"text": column}), tmp_path / "a.parquet", store_schema=False)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    count = 0
    for chunk in source(tmp_path).chunks():
        for record in source(tmp_path).read(chunk):
            assert isinstance(record, Document)
            count += 1
            if count == 100:
                break
    grown_bytes = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    assert grown_bytes < 10 * parquet.BATCH_BYTES


def test_bombs_are_set_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "_EXPANSION_COUNTS_FROM_BYTES", 1 << 20)
    write(tmp_path / "a.parquet", ["0" * 9_000_000], use_dictionary=False, compression="zstd")
    write(tmp_path / "b.parquet", ["one"])
    bomb, document = read_all(source(tmp_path))
    assert isinstance(bomb, BadRecord)
    assert "row group 0 expands " in bomb.cause
    assert isinstance(document, Document)


def test_large_files_are_shared_evenly(tmp_path: Path) -> None:
    generator = random.Random(1)
    texts = [f"{generator.getrandbits(4000):x}" for _ in range(12_000)]
    write(tmp_path / "a.parquet", texts[:10_000], row_group_size=250, use_dictionary=False)
    write(tmp_path / "b.parquet", texts[10_000:], row_group_size=250, use_dictionary=False)
    for shards in (1, 3, 8):
        files = FileSource(SourceSpec(name="web", uri=str(tmp_path)), shards, chunk_bytes=1 << 18)
        counts = [
            sum(1 for chunk in chunks_of_shard(files.chunks(), shard, shards) for _ in files.read(chunk))
            for shard in range(shards)
        ]
        assert sum(counts) == 12_000
        assert max(counts) < 1.4 * 12_000 / shards


@pytest.mark.parametrize(
    ("total", "shards", "size"),
    [
        (0, 8, MIN_CHUNK_BYTES),
        (100 << 20, 8, 2 << 20),
        (110 << 20, 8, 2 << 20),
        (1 << 30, 8, 32 << 20),
        (1 << 40, 8, MAX_CHUNK_BYTES),
        (1 << 40, 100_000, 2 << 20),
    ],
)
def test_size_of_chunks(total: int, shards: int, size: int) -> None:
    assert chunk_bytes(total, shards) == size
