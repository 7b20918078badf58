"""Files as a source: listing, chunks, formats, lines."""

from __future__ import annotations

import contextlib
import glob
import gzip
import itertools
import json
import os
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pretrain_api.spec.data import Source as SourceSpec
from pretrain_dataprep.errors import DamagedFileError, InputError
from pretrain_dataprep.sources import records
from pretrain_dataprep.sources.decompress import open_uncompressed
from pretrain_dataprep.sources.files import FileSource
from pretrain_dataprep.sources.html import html_to_text
from pretrain_dataprep.sources.interface import BadRecord, Chunk, Document, Record
from pretrain_dataprep.sources.opening import chunks_of_shard, open_source, uneven_chunks
from pretrain_dataprep.sources.sample import SampleSource


def source(uri: object, chunk_bytes: int | None = None, **fields: object) -> FileSource:
    return FileSource(SourceSpec(name="web", uri=str(uri), **fields), chunk_bytes=chunk_bytes)  # type: ignore[arg-type]


def read_all(files: FileSource) -> list[Record]:
    return [record for chunk in files.chunks() for record in files.read(chunk)]


def texts(files: FileSource) -> list[str]:
    return [record.text for record in read_all(files) if isinstance(record, Document)]


LINE = st.one_of(
    st.text(max_size=30).map(lambda text: json.dumps({"text": text}).encode()),
    st.text(max_size=30).map(lambda text: json.dumps({"text": text}, ensure_ascii=False).encode("utf-8", "replace")),
    st.sampled_from([b"", b"  ", b"{", b"null", b'{"text": 1}', b'{"text": "\xff"}', b"\x00", b'{"text": "a"}\r']),
)


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=st.lists(LINE, max_size=20), chunk_bytes=st.integers(1, 200), newline_at_end=st.booleans())
def test_chunks_of_any_size_read_the_same_records(
    tmp_path: Path, lines: list[bytes], chunk_bytes: int, newline_at_end: bool
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"\n".join(lines) + (b"\n" if newline_at_end else b""))
    whole, cut = read_all(source(path)), read_all(source(path, chunk_bytes))
    assert cut == whole
    good = [line for line in lines if line.strip().startswith(b'{"text": "') and b"\xff" not in line]
    assert len([record for record in whole if isinstance(record, Document)]) == len(good)
    for record in whole:
        if isinstance(record, BadRecord):
            assert lines[record.line - 1].strip(b"\r\n") == record.raw


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.binary(max_size=300), suffix=st.sampled_from(["jsonl", "txt", "html", "jsonl.gz", "txt.zst", "json.zst"])
)
def test_any_bytes_are_read_or_set_aside_or_refused(tmp_path: Path, content: bytes, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(content)
    with contextlib.suppress(InputError):
        assert all(isinstance(record, Document | BadRecord) for record in read_all(source(path)))


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
def test_formats(tmp_path: Path, suffix: str) -> None:
    def pack(content: bytes) -> bytes:
        if suffix == ".gz":
            return gzip.compress(content[:5]) + gzip.compress(content[5:])
        return zstandard.compress(content[:5]) + zstandard.compress(content[5:]) if suffix == ".zst" else content

    (tmp_path / f"a.jsonl{suffix}").write_bytes(pack(b'\xef\xbb\xbf{"text": "one"}\r\n\n{"text": "two"}'))
    (tmp_path / f"b.txt{suffix}").write_bytes(pack(b"\xef\xbb\xbfthree\r\n"))
    (tmp_path / f"c.html{suffix}").write_bytes(pack(b"<p>four</p>"))
    (tmp_path / "ignored.bin").write_bytes(b"x")
    (tmp_path / ".hidden.txt").write_bytes(b"x")
    assert texts(source(tmp_path)) == ["one", "two", "three\r\n", "four"]
    assert texts(source(f"file://{tmp_path}/b*")) == ["three\r\n"]


def test_members_of_gzip_files_may_be_empty_and_padded(tmp_path: Path) -> None:
    lines = [json.dumps({"text": f"document {number}"}).encode() + b"\n" for number in range(50)]
    members = [
        gzip.compress(b"".join(lines[:20])),
        gzip.compress(b""),
        b"\0" * 100_000,
        gzip.compress(b"".join(lines[20:])),
    ]
    (tmp_path / "a.jsonl.gz").write_bytes(b"".join(members) + b"\0" * 512)
    assert len(texts(source(tmp_path))) == 50


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_what_comes_before_damage_is_read(tmp_path: Path, suffix: str) -> None:
    generator = random.Random(1)
    lines = b"".join(json.dumps({"text": f"{generator.getrandbits(999):x}"}).encode() + b"\n" for _ in range(3000))
    packed = gzip.compress(lines) if suffix == ".gz" else zstandard.ZstdCompressor().compress(lines)
    (tmp_path / f"a.jsonl{suffix}").write_bytes(packed[: len(packed) // 2])
    files = source(tmp_path)
    reading = files.read(files.chunks()[0])
    found = list(itertools.islice(reading, 1000))
    with pytest.raises(DamagedFileError, match="the compressed file is truncated"):
        list(reading)
    assert len(found) == 1000


def test_text_field_and_explicit_format(tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(b'{"body": "one", "text": 2}\n')
    assert texts(source(tmp_path / "data", format="jsonl", text_field="body")) == ["one"]
    (tmp_path / "data").write_bytes(b'{"meta": {"body": "two", "n": 1}}\n{"meta.body": "three"}\n{"meta": {}}\n')
    nested = read_all(source(tmp_path / "data", format="jsonl", text_field="meta.body"))
    assert [record.text for record in nested if isinstance(record, Document)] == ["two", "three"]
    assert [record.cause for record in nested if isinstance(record, BadRecord)] == [
        "no field 'meta.body'; the record has 'meta'"
    ]


def test_numbers_that_json_does_not_know_are_no_reason_to_lose_a_document(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "one", "score": NaN, "id": 99999999999999999999999}\n')
    assert texts(source(tmp_path)) == ["one"]


def test_long_lines_and_documents_are_set_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "MAX_RECORD_BYTES", 100)
    (tmp_path / "a.jsonl").write_text('{"text": "' + "x" * 3_000_000 + '"}\n{"text": "two"}\n')
    (tmp_path / "b.txt").write_text("x" * 101)
    first, second, third = read_all(source(tmp_path))
    assert isinstance(first, BadRecord)
    assert first.line == 1
    assert "longer than 100 bytes" in first.cause
    assert isinstance(second, Document)
    assert second.text == "two"
    assert isinstance(third, BadRecord)
    assert third.location == f"{tmp_path}/b.txt"


@pytest.mark.parametrize("suffix", ["gz", "zst"])
def test_a_bomb_takes_no_memory(tmp_path: Path, suffix: str) -> None:
    """400 MB of one line from 400 KB or less: read in pieces, set aside."""
    import resource

    zeros = b"0" * (1 << 20)
    path = tmp_path / f"bomb.jsonl.{suffix}"
    with gzip.open(path, "wb") if suffix == "gz" else zstandard.open(path, "wb") as file:
        for _ in range(400):
            file.write(zeros)
    # What the reader holds: a line of the greatest length, and copies of it on its way.
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    (record,) = read_all(source(path))
    assert isinstance(record, BadRecord)
    grown_bytes = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    assert grown_bytes < 3 * records.MAX_RECORD_BYTES + (64 << 20)


def test_cyclic_links_do_not_catch_us(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one")
    (tmp_path / "loop").symlink_to(tmp_path)
    assert texts(source(tmp_path)) == ["one"]
    (tmp_path / "self.txt").symlink_to(tmp_path / "self.txt")
    with pytest.raises(InputError, match=r"self\.txt: can't read the file"):
        source(tmp_path).chunks()


def test_fingerprints(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    lines = [json.dumps({"text": "x" * n}) for n in range(40)]
    path.write_text("\n".join(lines))
    files = source(path, 100)
    before = {chunk.label: files.fingerprint(chunk) for chunk in files.chunks()}
    assert len(set(before.values())) == len(before) > 5
    path.write_text("\n".join(lines).replace("xxxx", "yxxx", 1))
    changed = [chunk.label for chunk in files.chunks() if files.fingerprint(chunk) != before[chunk.label]]
    assert changed == [f"{path}[0:100]"]


def test_remote_files() -> None:
    import fsspec

    system = fsspec.filesystem("memory")
    system.pipe("/corpus/a.jsonl", b'{"text": "one"}\n{"text": "two"}\n')
    system.pipe("/corpus/sub/b.txt.gz", gzip.compress(b"three"))
    try:
        assert texts(source("memory://corpus")) == ["one", "two", "three"]
        assert texts(source("memory://corpus/*.jsonl", 10)) == ["one", "two"]
        chunk = source("memory://corpus/a.jsonl").chunks()[0]
        assert (chunk.relative_path, chunk.size) == ("a.jsonl", 32)
        with pytest.raises(InputError, match=r"none\.jsonl"):
            source("memory://corpus/none.jsonl").chunks()
    finally:
        system.rm("/corpus", recursive=True)


def test_the_order_of_listing_does_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("b/2", "a/1", "c", "a/0", "b/10"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / f"{name}.txt").write_text(name)
    chunks = {uri: source(tmp_path / uri).chunks() for uri in ("", "**/*.txt")}
    walk, matches = os.walk, glob.glob

    def shuffled(items: Iterable[Any]) -> list[Any]:
        return random.Random(5).sample(found := list(items), len(found))

    monkeypatch.setattr("os.walk", lambda *a, **k: shuffled((p, d, shuffled(n)) for p, d, n in walk(*a, **k)))
    monkeypatch.setattr("glob.glob", lambda *a, **k: shuffled(matches(*a, **k)))
    for uri, expected in chunks.items():
        assert source(tmp_path / uri).chunks() == expected
        assert len(expected) == 5


def test_dealing(tmp_path: Path) -> None:
    for name in "abcdefg":
        (tmp_path / f"{name}.txt").write_text(name)
    chunks = source(tmp_path).chunks()
    dealt = [chunks_of_shard(chunks, shard, 3) for shard in range(3)]
    assert sorted(chunk.path for part in dealt for chunk in part) == [chunk.path for chunk in chunks]
    assert [len(part) for part in dealt] == [3, 2, 2]
    assert isinstance(open_source(SourceSpec(name="py", uri="sample://python")), SampleSource)


def test_html() -> None:
    page = """<html><head><title>no</title><style>p {}</style></head><body><nav><a href="/">Home</a></nav>
      <header>Site</header><h1>Title</h1><p>Hello <b>bold</b> &amp;
      more<br>line</p><ul><li><a href="x">just a link</a></li><li>an item</li></ul>
      <pre><code>def f():\n    return 1\n</code></pre><script>var x</script>
      <div role="navigation">menu</div>tail<!-- c -->
      <footer>Imprint</footer></body></html>"""
    assert html_to_text(page) == "Title\n\nHello bold & more line\n\nan item\n\ndef f():\n    return 1\n\ntail"
    assert html_to_text("<body>aside<main><p>content</p></main></body>") == "content"
    assert html_to_text("") == ""
    assert html_to_text("<div>" * 5000 + "deep") == "deep"


@settings(deadline=None, max_examples=200)
@given(st.text(alphabet="<>/abpdiv &;!-\"'= \nré", max_size=100))
def test_any_html_gives_text(page: str) -> None:
    html_to_text(page).encode()


def test_reader_keeps_count(tmp_path: Path) -> None:
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(b"abc\ndef"))
    with open_uncompressed(path.open("rb"), str(path)) as reader:
        assert reader.readline(100) == b"abc\n"
        assert reader.offset == 4
        assert reader.read(100) == b"def"
        assert reader.offset == 7


def test_a_file_that_shards_cannot_share_is_named() -> None:
    def whole(name: str, megabytes: int) -> Chunk:
        return Chunk(name, name, 0, megabytes * 1_000_000, megabytes * 1_000_000)

    note = uneven_chunks([whole("a.jsonl.zst", 2000), whole("b.jsonl.zst", 100)], 4)
    assert note is not None
    assert note.startswith("one worker reads 3.8 times the mean of all, and 2 of 4 shards have nothing to read: ")
    assert "a.jsonl.zst alone has 2,000 MB and can't be cut; give its text in more files than shards" in note
    assert uneven_chunks([whole("a.warc.gz", 2), whole("b.warc.gz", 1)], 8) is None, "nobody waits for little text"
    assert uneven_chunks([whole(f"{number}.warc.gz", 900) for number in range(12)], 8) is None
