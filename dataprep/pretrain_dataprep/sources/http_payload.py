"""Undoes the transfer and content encodings of an HTTP answer, within a limit."""

from __future__ import annotations

import re
import zlib

_CHUNK_HEADER = re.compile(rb"[ \t]*([0-9A-Fa-f]{1,8})[^\r\n]{0,256}\r?\n")


class PayloadError(Exception):
    """The payload isn't what the HTTP header says, or too long."""


def decode_payload(payload: bytes, transfer_encoding: str, content_encoding: str, limit: int) -> bytes:
    """Return the content of an HTTP answer.

    Crawlers often store what they decoded already and keep the header: a payload that doesn't begin like its encoding
    is taken as it is.

    Raises:
        PayloadError: the payload is damaged, is longer than `limit` bytes, or its encoding isn't known.
    """
    if "chunked" in transfer_encoding.lower() and _CHUNK_HEADER.match(payload):
        payload = _joined_chunks(payload)
    for encoding in reversed([part.strip().lower() for part in content_encoding.split(",")]):
        payload = _decompressed(payload, encoding, limit)
    return _within(payload, limit)


def _joined_chunks(payload: bytes) -> bytes:
    """Join a chunked body (RFC 9112, section 7.1); one that ends early ends there."""
    pieces, position = [], 0
    while header := _CHUNK_HEADER.match(payload, position):
        size = int(header[1], 16)
        if size == 0:
            break
        pieces.append(payload[header.end() : header.end() + size])
        position = header.end() + size
        position += 2 if payload[position : position + 2] == b"\r\n" else payload[position : position + 1] == b"\n"
    return b"".join(pieces)


def _decompressed(payload: bytes, encoding: str, limit: int) -> bytes:
    if encoding in ("", "identity", "none"):
        return payload
    if encoding in ("gzip", "x-gzip"):
        return _inflated(payload, 31, limit) if payload.startswith(b"\x1f\x8b") else payload
    if encoding == "deflate":
        return _inflated(payload, 15 if payload[:1] == b"\x78" else -15, limit)
    if encoding == "br":
        return _from_brotli(payload, limit)
    raise PayloadError(f"content encoding {encoding[:40]!r} can't be read")


def _inflated(payload: bytes, window_bits: int, limit: int) -> bytes:
    stream = zlib.decompressobj(window_bits)
    try:
        content = stream.decompress(payload, limit + 1)
    except zlib.error as error:
        raise PayloadError(f"the compressed payload is damaged: {error}") from error
    return _within(content, limit)


def _from_brotli(payload: bytes, limit: int) -> bytes:
    import brotli

    stream = brotli.Decompressor()
    try:
        content: bytes = stream.process(payload, output_buffer_limit=limit + 1)
        while len(content) <= limit and not stream.is_finished() and not stream.can_accept_more_data():
            content += stream.process(b"", output_buffer_limit=limit + 1 - len(content))
    except brotli.error as error:
        raise PayloadError(f"the compressed payload is damaged: {error}") from error
    return _within(content, limit)


def _within(content: bytes, limit: int) -> bytes:
    if len(content) > limit:
        raise PayloadError(f"the payload expands to more than {limit:,} bytes")
    return content
