"""From the bytes of a file to records, by format."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from pretrain_dataprep.sources.decompress import CheckedReader
from pretrain_dataprep.sources.extraction import Extract, ExtractionError, decode_page
from pretrain_dataprep.sources.interface import BadRecord, Chunk, Document, Record

MAX_RECORD_BYTES = 32 << 20
"""Longer records are set aside: what bounds a worker's memory."""

KEPT_BYTES_OF_BAD_RECORD = 4096

_MISSING = object()
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def read_json_lines(reader: CheckedReader, chunk: Chunk, text_field: str, end: int | None) -> Iterator[Record]:
    """Yield the records of JSON lines; only lines that start before byte `end`, if one is given.

    The reader is at the start of a line. Line numbers count from the reader's position.
    """
    line = 0
    while end is None or reader.offset < end:
        position = reader.offset
        content = reader.readline(MAX_RECORD_BYTES + 1)
        if not content:
            return
        line += 1
        if len(content) > MAX_RECORD_BYTES:
            if not content.endswith(b"\n"):
                skip_to_line_end(reader, end)
            yield _bad(chunk, line, f"the line is longer than {MAX_RECORD_BYTES:,} bytes", content)
            continue
        if position == 0:
            content = content.removeprefix(_BYTE_ORDER_MARK)
        if content.isspace():
            continue
        text, cause = _text_of(content, text_field)
        if text is None:
            yield _bad(chunk, line, cause, content)
        else:
            yield Document(text, chunk.path, chunk.relative_path, position)


def skip_to_line_end(reader: CheckedReader, end: int | None) -> None:
    """Read on to the end of the line; not beyond byte `end`, if one is given."""
    while (end is None or reader.offset < end) and (content := reader.readline(1 << 20)):
        if content.endswith(b"\n"):
            return


def _text_of(content: bytes, text_field: str) -> tuple[str | None, str]:
    try:
        record = _parse(content)
    except UnicodeDecodeError as error:
        return None, f"invalid UTF-8 at byte {error.start + 1} of the line"
    except (ValueError, RecursionError) as error:
        return None, f"invalid JSON: {error}"
    if not isinstance(record, dict):
        return None, f"a JSON {_json_type(record)} instead of an object"
    text = _field(record, text_field)
    if text is _MISSING:
        return None, f"no field {text_field!r}; the record has {', '.join(map(repr, list(record)[:8])) or 'no fields'}"
    if not isinstance(text, str):
        return None, f"field {text_field!r} is a {_json_type(text)} instead of a string"
    if _has_lone_surrogate(text):
        return None, f"field {text_field!r} has a lone surrogate, which is no character"
    return text, ""


def _field(record: dict[str, Any], path: str) -> Any:
    """Return the field of that name or, if there is none, the one that its parts between dots lead to."""
    if path in record:
        return record[path]
    value: Any = record
    for name in path.split("."):
        if not isinstance(value, dict) or name not in value:
            return _MISSING
        value = value[name]
    return value


def _has_lone_surrogate(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _parse(content: bytes) -> Any:
    import orjson

    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:
        # The standard library takes more: NaN, big integers. And it tells bad UTF-8 from bad JSON.
        return json.loads(content.decode("utf-8"))


def _json_type(value: object) -> str:
    names = {dict: "object", list: "array", str: "string", bool: "boolean", type(None): "null"}
    return names.get(type(value), "number")


def read_whole_file(reader: CheckedReader, chunk: Chunk) -> bytes | BadRecord:
    """Return the content of a file that is one document."""
    content = reader.read(MAX_RECORD_BYTES + 1)
    # A stream may give less than asked for; its end is an empty read.
    while len(content) <= MAX_RECORD_BYTES and (more := reader.read(MAX_RECORD_BYTES + 1 - len(content))):
        content += more
    if len(content) > MAX_RECORD_BYTES:
        return _bad(chunk, 0, f"the document is longer than {MAX_RECORD_BYTES:,} bytes", content)
    return content


def read_text_file(reader: CheckedReader, chunk: Chunk) -> Iterator[Record]:
    """Yield a plain-text file as one document."""
    content = read_whole_file(reader, chunk)
    yield content if isinstance(content, BadRecord) else decode_document(content, chunk)


def read_html_file(reader: CheckedReader, chunk: Chunk, extract: Extract) -> Iterator[Record]:
    """Yield the text of an HTML file as one document."""
    content = read_whole_file(reader, chunk)
    if isinstance(content, BadRecord):
        yield content
        return
    try:
        yield Document(extract(decode_page(content)), chunk.path, chunk.relative_path, 0)
    except ExtractionError as error:
        yield _bad(chunk, 0, str(error), content)


def decode_document(content: bytes, chunk: Chunk) -> Record:
    """Return UTF-8 content as a document, or as a bad record with the line of the first bad byte."""
    try:
        text = content.removeprefix(_BYTE_ORDER_MARK).decode("utf-8")
    except UnicodeDecodeError as error:
        line_start = error.object.rfind(b"\n", 0, error.start) + 1
        line = error.object.count(b"\n", 0, error.start) + 1
        hint = "; it looks like UTF-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else ""
        cause = f"invalid UTF-8 at byte {error.start - line_start + 1} of the line{hint}"
        return _bad(chunk, line, cause, error.object[line_start:])
    return Document(text, chunk.path, chunk.relative_path, 0)


def decode_value(value: bytes | None, chunk: Chunk, text_field: str, row: int) -> Record:
    """Return the value of a row (counted from 0) of a table as a document, or as a bad record."""
    if value is None:
        return _bad(chunk, row + 1, f"field {text_field!r} is null", b"")
    if len(value) > MAX_RECORD_BYTES:
        return _bad(chunk, row + 1, f"the document is longer than {MAX_RECORD_BYTES:,} bytes", value)
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError as error:
        return _bad(chunk, row + 1, f"invalid UTF-8 at byte {error.start + 1} of field {text_field!r}", value)
    return Document(text, chunk.path, chunk.relative_path, row)


def _bad(chunk: Chunk, line: int, cause: str, content: bytes) -> BadRecord:
    return BadRecord(chunk.path, line, cause, content[:KEPT_BYTES_OF_BAD_RECORD].rstrip(b"\r\n"))
