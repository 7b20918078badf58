"""Web archives (WARC 1.0 and 1.1): pages as crawlers stored them, read by FastWARC.

Documents are HTTP answers with status 200 that hold HTML or plain text, and conversion records (the text of Common
Crawl's WET files). Their location is the address that was crawled, their position the byte at which the record starts.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

from pretrain_dataprep.errors import DamagedFileError, PreparationError, Stopped
from pretrain_dataprep.sources import records
from pretrain_dataprep.sources.decompress import CheckedReader
from pretrain_dataprep.sources.extraction import Extract, ExtractionError, decode_page
from pretrain_dataprep.sources.http_payload import PayloadError, decode_payload
from pretrain_dataprep.sources.interface import BadRecord, Chunk, Document, Record

_HTML_TYPES = ("text/html", "application/xhtml+xml")
_PLAIN_TEXT = "text/plain"
_OK = 200


class _Stream:
    """What FastWARC reads from: the uncompressed bytes, and where it is in them."""

    def __init__(self, reader: CheckedReader) -> None:
        self._reader = reader

    def read(self, size: int = 65536, /) -> bytes:
        return self._reader.read(size)

    def tell(self) -> int:
        return self._reader.offset

    def seek(self, offset: int, whence: int = 0, /) -> int:
        raise io.UnsupportedOperation("archives are read from beginning to end")

    def close(self) -> None:
        """The reader's owner closes it."""


def read_warc(reader: CheckedReader, chunk: Chunk, extract: Extract) -> Iterator[Record]:
    """Yield the pages of an archive. The lines of bad records are numbers of responses and conversions, from 1.

    Raises:
        DamagedFileError: nothing in the file is a WARC record.
    """
    number = 0
    for number, record in enumerate(_records(reader, chunk), start=1):
        result = _read(record, extract)
        if isinstance(result, str):
            address = record.headers.get("WARC-Target-URI") or chunk.path
            yield Document(result, address, chunk.relative_path, record.stream_pos)
        elif result is not None:
            cause, raw = result
            yield BadRecord(chunk.path, number, cause, raw[: records.KEPT_BYTES_OF_BAD_RECORD])


def _records(reader: CheckedReader, chunk: Chunk) -> Iterator[Any]:
    from fastwarc.warc import ArchiveIterator, WarcRecordType

    wanted = WarcRecordType.response | WarcRecordType.conversion
    seen = False

    def keep(record: Any) -> bool:
        nonlocal seen
        seen = True
        return bool(record.record_type & wanted)

    try:
        # Quirks mode goes on at the next record after one that is damaged.
        yield from ArchiveIterator(
            _Stream(reader), func_filter=keep, stream_detect=False, quirks_mode=True, auto_decode="none"
        )
    except (PreparationError, Stopped, GeneratorExit):
        raise
    except BaseException as error:
        # FastWARC's panics are BaseExceptions of its own; real ones pass.
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        text = f"{chunk.path}: the web archive is damaged (before byte {reader.offset:,}): {error}"
        raise DamagedFileError(f"{' '.join(text.split())[:400]}; copy it again or leave it out") from error
    if not seen and reader.offset > 0:
        raise DamagedFileError(f"{chunk.path}: there is no WARC record in it; copy it again or leave it out")


def _read(record: Any, extract: Extract) -> str | tuple[str, bytes] | None:
    """Return the text of a record; why it is bad, and its first bytes; or None: it is no page."""
    answer = record.http_headers
    if record.headers.get("WARC-Type", "").lower() != "conversion":
        if answer is None or answer.status_code is None:
            return "the record holds no HTTP answer", b""
        if answer.status_code != _OK or _content_type(record) not in (*_HTML_TYPES, _PLAIN_TEXT):
            return None
    payload, cause = _payload(record)
    if cause:
        return cause, payload
    text = decode_page(payload, record.http_charset)
    if answer is None or _content_type(record) == _PLAIN_TEXT:
        return text
    try:
        return extract(text)
    except ExtractionError as error:
        return str(error), payload


def _content_type(record: Any) -> str:
    return (record.http_content_type or "").strip().lower()


def _payload(record: Any) -> tuple[bytes, str]:
    """Return the decoded payload, and what is wrong with it."""
    limit = records.MAX_RECORD_BYTES
    if record.content_length > limit:
        return b"", f"the record is longer than {limit:,} bytes"
    payload = bytearray()
    while len(payload) <= limit and (block := record.reader.read(limit + 1 - len(payload))):
        payload += block
    if len(payload) < record.content_length:
        return bytes(payload), f"the record ends after {len(payload):,} of {record.content_length:,} bytes"
    headers = record.http_headers or {}
    encodings = headers.get("Transfer-Encoding") or "", headers.get("Content-Encoding") or ""
    try:
        return decode_payload(bytes(payload), *encodings, limit), ""
    except PayloadError as error:
        return bytes(payload), str(error)
