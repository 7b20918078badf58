"""What every reader and extractor must stand: any bytes (`test_fuzz`, `fuzz_with_atheris`)."""

from __future__ import annotations

import contextlib
import gzip
import io
import tempfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

from pretrain_api.spec.data import Source as SourceSpec
from pretrain_dataprep.errors import InputError
from pretrain_dataprep.sources.extraction import ExtractionError, decode_page, extractor
from pretrain_dataprep.sources.files import FileSource
from pretrain_dataprep.sources.http_payload import PayloadError, decode_payload
from pretrain_dataprep.sources.interface import BadRecord, Document
from pretrain_dataprep.text.batch import TextBatch
from pretrain_dataprep.text.pii import KINDS, Redactor
from pretrain_dataprep.text.tidy import tidy

_FOLDER = Path(tempfile.gettempdir())
_REDACTOR = Redactor(KINDS, 1)
LINES = b'{"text": "one \\u00e9"}\r\n\n{"text": {"a": 1}}\n{"text": "\\ud800"}\n{"text": "two"}'
PAGE = b"<html><head><meta charset=utf-8><title>t</title></head><body><nav><a href=x>n</a></nav><main><h1>h</h1><p>text"
ARCHIVE = b"".join(
    b"WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: http://x/\r\nContent-Type: application/http\r\n"
    b"Content-Length: %d\r\n\r\n%s\r\n\r\n" % (len(http), http)
    for http in (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Encoding: gzip\r\n\r\n" + gzip.compress(PAGE, mtime=0),
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n<p>ab\r\n0\r\n\r\n",
    )
)
PERSONAL = (
    b"a@b.org 4111 1111 1111 1111 078-05-1120 +49 30 1234567 ::1 8.8.8.8 password=k3jfh28shf92 eyJh RSSMRA85T10A562S"
)


def table() -> bytes:
    """A Parquet file with two row groups."""
    stream = io.BytesIO()
    pq.write_table(pa.table({"id": [1, 2, 3], "text": ["one", None, "x" * 99]}), stream, row_group_size=2)
    return stream.getvalue()


def _read(name: str) -> Callable[[bytes], None]:
    def read(content: bytes) -> None:
        path = _FOLDER / f"fuzzed-{id(read)}.{name}"
        path.write_bytes(content)
        try:
            files = FileSource(SourceSpec(name="web", uri=str(path)), chunk_bytes=200)
            with contextlib.suppress(InputError):
                for chunk in files.chunks():
                    files.fingerprint(chunk)
                    for record in files.read(chunk):
                        assert isinstance(record, Document | BadRecord)
                        if isinstance(record, Document):
                            record.text.encode()
        finally:
            path.unlink()

    return read


def _extract(name: str) -> Callable[[bytes], None]:
    def extract(content: bytes) -> None:
        with contextlib.suppress(ExtractionError):
            extractor(name)(decode_page(content)).encode()

    return extract


def _decode(content: bytes) -> None:
    for encoding in ("gzip", "deflate", "br"):
        with contextlib.suppress(PayloadError):
            assert len(decode_payload(content, "chunked", encoding, 1000)) <= 1000


def _redact(content: bytes) -> None:
    batch = tidy(TextBatch.of([content.decode("utf-8", "ignore").encode()]))
    _REDACTOR.redact(batch)[0].document(0).decode()


TARGETS: dict[str, tuple[Callable[[bytes], None], bytes]] = {
    "jsonl": (_read("jsonl"), LINES),
    "jsonl.gz": (_read("jsonl.gz"), gzip.compress(LINES, mtime=0)),
    "jsonl.zst": (_read("jsonl.zst"), zstandard.ZstdCompressor().compress(LINES)),
    "text": (_read("txt"), b"\xef\xbb\xbfone\r\ntwo\0"),
    "html": (_read("html"), PAGE),
    "parquet": (_read("parquet"), table()),
    "warc": (_read("warc"), ARCHIVE),
    "warc.gz": (_read("warc.gz"), gzip.compress(ARCHIVE, mtime=0)),
    "selectolax": (_extract("selectolax"), PAGE),
    "resiliparse": (_extract("resiliparse"), PAGE),
    "trafilatura": (_extract("trafilatura"), PAGE),
    "payload": (_decode, b"5\r\n<p>ab\r\n0\r\n\r\n"),
    "redaction": (_redact, PERSONAL),
}
"""By name: what must stand any bytes, and an example that it reads."""
