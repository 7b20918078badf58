"""Web archives: which records are documents, how they are decoded, what is set aside."""

from __future__ import annotations

import contextlib
import gzip
import resource
import zlib
from pathlib import Path

import brotli
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pretrain_api.spec.data import Source as SourceSpec
from pretrain_dataprep.errors import DamagedFileError, InputError
from pretrain_dataprep.sources import records
from pretrain_dataprep.sources.files import FileSource
from pretrain_dataprep.sources.http_payload import PayloadError, decode_payload
from pretrain_dataprep.sources.interface import BadRecord, Document, Record


def record(uri: str, content: bytes, kind: str = "response", content_type: str = "application/http") -> bytes:
    header = (
        f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Record-ID: <urn:uuid:1>\r\nWARC-Date: 2024-01-01T00:00:00Z\r\n"
        f"WARC-Target-URI: {uri}\r\nContent-Type: {content_type}\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    return header.encode() + content + b"\r\n\r\n"


def answer(body: bytes, content_type: str = "text/html", status: str = "200 OK", more: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\n{more}\r\n".encode() + body


def page(number: int, text: str = "") -> bytes:
    body = f"<html><body><p>page {number} {text}</p></body></html>".encode()
    return record(f"https://example.org/{number}", answer(body))


def read_all(path: Path) -> list[Record]:
    files = FileSource(SourceSpec(name="web", uri=str(path)))
    return [found for chunk in files.chunks() for found in files.read(chunk)]


def texts(path: Path) -> list[str]:
    return [found.text for found in read_all(path) if isinstance(found, Document)]


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
def test_pages_and_where_they_were(tmp_path: Path, suffix: str) -> None:
    parts = [
        record("", b"software: x", "warcinfo"),
        page(1),
        record("https://example.org/1", b"GET", "request"),
        page(2),
    ]
    pack = {"": bytes, ".gz": gzip.compress, ".zst": zstandard.compress}[suffix]
    (tmp_path / f"a.warc{suffix}").write_bytes(b"".join(pack(part) for part in parts))
    first, second = read_all(tmp_path)
    assert isinstance(first, Document)
    assert isinstance(second, Document)
    assert (first.text, first.path, first.relative_path) == ("page 1", "https://example.org/1", f"a.warc{suffix}")
    assert (first.position, second.position) == (len(parts[0]), sum(map(len, parts[:3])))


def test_what_is_a_document(tmp_path: Path) -> None:
    parts = [
        record("a", answer(b"<p>not found</p>", status="404 Not Found")),
        record("b", answer(b"\x89PNG", "image/png")),
        record("c", answer(b"plain <b>text</b>", "text/plain; charset=utf-8")),
        record("d", answer(b"<p>x</p>", "application/xhtml+xml")),
        record("e", b"text of a page", "conversion", "text/plain"),
        record("f", answer(b"<p>again</p>"), "revisit"),
    ]
    (tmp_path / "a.warc").write_bytes(b"".join(parts))
    assert texts(tmp_path) == ["plain <b>text</b>", "x", "text of a page"]


@pytest.mark.parametrize(
    ("body", "content_type", "text"),
    [
        ("<p>café</p>".encode("latin-1"), "text/html; charset=ISO-8859-1", "café"),
        ("<p>“quoted”</p>".encode("cp1252"), "text/html; charset=iso-8859-1", "“quoted”"),
        ('<meta charset="windows-1251"><p>привет</p>'.encode("cp1251"), "text/html", "привет"),
        ("<p>中文网页的内容</p>".encode("gbk"), "text/html; charset=gb2312", "中文网页的内容"),
        ("<p>日本語のページ</p>".encode("shift_jis"), "text/html; charset=Shift_JIS", "日本語のページ"),
        ("<p>naïve</p>".encode(), "text/html; charset=iso-8859-1", "naïve"),
        ("<p>wide</p>".encode("utf-16"), "text/html", "wide"),
        (b"\xef\xbb\xbf<p>mark</p>", "text/html", "mark"),
        (b"<p>bad \xff byte \xe4\xb8\xad</p>", "text/html; charset=utf-8", "bad \ufffd byte 中"),
        (b"<p>x</p>", "text/html; charset=no-such-charset", "x"),
    ],
)
def test_charsets(tmp_path: Path, body: bytes, content_type: str, text: str) -> None:
    (tmp_path / "a.warc").write_bytes(record("a", answer(body, content_type)))
    assert texts(tmp_path) == [text]


BODY = b"<p>" + b"some text " * 50 + b"</p>"
GZIPPED = gzip.compress(BODY, mtime=0)


@pytest.mark.parametrize(
    ("transfer", "encoding", "payload"),
    [
        ("chunked", "", b"5\r\n" + BODY[:5] + b"\r\n%x;x=1\r\n" % len(BODY[5:]) + BODY[5:] + b"\r\n0\r\n\r\n"),
        ("chunked", "", BODY),
        ("", "gzip", GZIPPED),
        ("", "gzip", BODY),
        ("", "deflate", zlib.compress(BODY)),
        ("", "deflate", zlib.compress(BODY, wbits=-15)),
        ("", "br", brotli.compress(BODY)),
        ("", "identity", BODY),
        ("chunked", "gzip", b"%x\r\n" % len(GZIPPED) + GZIPPED + b"\r\n0\r\n\r\n"),
        ("", "deflate, gzip", gzip.compress(zlib.compress(BODY), mtime=0)),
    ],
)
def test_encodings(transfer: str, encoding: str, payload: bytes) -> None:
    assert decode_payload(payload, transfer, encoding, 1000) == BODY
    with pytest.raises(PayloadError, match="more than 100 bytes"):
        decode_payload(payload, transfer, encoding, 100)


@settings(deadline=None, max_examples=200)
@given(
    st.binary(max_size=80), st.sampled_from(["", "chunked"]), st.sampled_from(["", "gzip", "deflate", "br", "x, br"])
)
def test_any_payload_is_decoded_or_refused(payload: bytes, transfer: str, encoding: str) -> None:
    prefix = b"\x1f\x8b\x08\0" if "gzip" in encoding else b""
    with contextlib.suppress(PayloadError):
        assert len(decode_payload(prefix + payload, transfer, encoding, 200)) <= 200


def test_bad_records_are_set_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "MAX_RECORD_BYTES", 1000)
    parts = [
        page(1),
        record("b", b"no answer at all"),
        record("c", answer(gzip.compress(b"0" * 5000), more="Content-Encoding: gzip\r\n")),
        record("d", answer(b"x" * 2000)),
        record("e", answer(b"x", more="Content-Encoding: zpaq\r\n")),
        page(6).replace(b"WARC/1.0", b"WxRC/1.0"),
        page(7),
    ]
    (tmp_path / "a.warc").write_bytes(b"".join(parts))
    found = read_all(tmp_path)
    assert [item.text for item in found if isinstance(item, Document)] == ["page 1", "page 7"]
    bad = [(item.location, item.cause) for item in found if isinstance(item, BadRecord)]
    assert bad[:4] == [
        (f"{tmp_path}/a.warc:2", "the record holds no HTTP answer"),
        (f"{tmp_path}/a.warc:3", "the payload expands to more than 1,000 bytes"),
        (f"{tmp_path}/a.warc:4", "the record is longer than 1,000 bytes"),
        (f"{tmp_path}/a.warc:5", "content encoding 'zpaq' can't be read"),
    ]


def test_archives_that_end_early(tmp_path: Path) -> None:
    whole = page(1) + page(2, "x" * 500)
    (tmp_path / "a.warc").write_bytes(whole[:-200])
    document, bad = read_all(tmp_path)
    assert isinstance(document, Document)
    assert isinstance(bad, BadRecord)
    assert "the record ends after " in bad.cause
    (tmp_path / "a.warc").unlink()
    packed = gzip.compress(whole)
    (tmp_path / "a.warc.gz").write_bytes(packed[: len(packed) // 2])
    with pytest.raises(InputError, match=r"a\.warc\.gz: the compressed file is truncated"):
        read_all(tmp_path)


def test_files_that_are_no_archives(tmp_path: Path) -> None:
    (tmp_path / "a.warc").touch()
    assert read_all(tmp_path) == []
    (tmp_path / "a.warc").write_bytes(b"<html>\r\n\r\n" * 100)
    with pytest.raises(DamagedFileError, match=r"a\.warc: there is no WARC record in it"):
        read_all(tmp_path)


@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_archives_are_read_or_refused(tmp_path: Path, data: st.DataObject) -> None:
    content = bytearray(page(1) + record("b", answer(GZIPPED, more="Content-Encoding: gzip\r\n")) + page(3))
    for _ in range(data.draw(st.integers(1, 5))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=4))
    (tmp_path / "a.warc").write_bytes(content)
    with contextlib.suppress(InputError):
        assert all(isinstance(found, Document | BadRecord) for found in read_all(tmp_path))


def test_bombs_take_no_memory(tmp_path: Path) -> None:
    """A payload of 500 MB from 0.5 MB."""
    bomb = record("a", answer(gzip.compress(b"0" * 500_000_000, 1), more="Content-Encoding: gzip\r\n"))
    (tmp_path / "a.warc").write_bytes(bomb + page(2))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    bad, document = read_all(tmp_path)
    assert isinstance(bad, BadRecord)
    assert isinstance(document, Document)
    grown_bytes = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    assert grown_bytes < 3 * records.MAX_RECORD_BYTES


def test_a_failing_stream_says_why(tmp_path: Path) -> None:
    """What our own reader raises inside FastWARC comes out as it is."""
    (tmp_path / "a.warc.gz").write_bytes(gzip.compress(page(1, "x" * 200_000)) + b"no gzip at all")
    with pytest.raises(InputError, match="the compressed file is damaged"):
        read_all(tmp_path)
