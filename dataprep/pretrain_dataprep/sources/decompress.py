"""Streams of uncompressed bytes from plain, gzip and zstd files."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable
from typing import IO, BinaryIO, Self

from pretrain_dataprep.errors import DamagedFileError, InputError

COMPRESSION_SUFFIXES = (".gz", ".zst")

_BUFFER_BYTES = 1 << 20
# Small, because zstd expands as little as 3 bytes to a block of 128 KiB: 512 bytes become 22 MB at the very most.
_ZSTD_INPUT_BYTES = 512
_GZIP_INPUT_BYTES = 1 << 16
_GZIP_WINDOW_BITS = 31


class DamagedStreamError(Exception):
    """The compressed stream ends early or isn't what its name says."""


class _ZstdStream(io.RawIOBase):
    """Decompresses zstd frames; unlike zstandard's own reader it notices a truncated one."""

    def __init__(self, file: BinaryIO) -> None:
        import zstandard

        self._file = file
        self._decompressor = zstandard.ZstdDecompressor(max_window_size=1 << 27)
        self._error = zstandard.ZstdError
        self._frame = self._decompressor.decompressobj()
        self._inside_frame = False
        self._pending = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._pending:
            block = self._file.read(_ZSTD_INPUT_BYTES)
            if not block:
                if self._inside_frame:
                    raise EOFError("the zstd stream ends in the middle of a frame")
                return 0
            self._pending = memoryview(self._decompress(block))
        size = min(len(buffer), len(self._pending))
        buffer[:size] = self._pending[:size]
        self._pending = self._pending[size:]
        return size

    def _decompress(self, block: bytes) -> bytes:
        pieces = []
        while block:
            try:
                pieces.append(self._frame.decompress(block))
            except self._error as error:
                raise DamagedStreamError(f"not a valid zstd stream: {error}") from error
            self._inside_frame = not self._frame.eof
            block = self._frame.unused_data if self._frame.eof else b""
            if self._frame.eof:
                self._frame = self._decompressor.decompressobj()
        return b"".join(pieces)

    def close(self) -> None:
        self._file.close()
        super().close()


class _GzipStream(io.RawIOBase):
    """Decompresses gzip members; unlike the standard library's it gives what comes before damage, too."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._member = zlib.decompressobj(_GZIP_WINDOW_BITS)
        self._inside_member = False
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while True:
            block = self._rest or self._file.read(_GZIP_INPUT_BYTES)
            # Members may be padded with zeros, as on tapes.
            while not self._inside_member and block and not (block := block.lstrip(b"\0")):
                block = self._file.read(_GZIP_INPUT_BYTES)
            if not block:
                if self._inside_member:
                    raise EOFError("the gzip stream ends in the middle of a member")
                return 0
            content = self._decompress(block, len(buffer))
            if content:
                buffer[: len(content)] = content
                return len(content)

    def _decompress(self, block: bytes, limit: int) -> bytes:
        try:
            content = self._member.decompress(block, limit)
        except zlib.error as error:
            raise DamagedStreamError(f"not a valid gzip stream: {error}") from error
        self._inside_member = not self._member.eof
        self._rest = self._member.unused_data if self._member.eof else self._member.unconsumed_tail
        if self._member.eof:
            self._member = zlib.decompressobj(_GZIP_WINDOW_BITS)
        return content

    def close(self) -> None:
        self._file.close()
        super().close()


class CheckedReader:
    """Reads bytes and turns a damaged stream into an InputError that names file and offset."""

    def __init__(self, stream: IO[bytes], path: str) -> None:
        self._stream = stream
        self._path = path
        self.offset = 0
        """Uncompressed bytes read so far."""

    def read(self, size: int) -> bytes:
        """Read at most `size` bytes."""
        return self._checked(self._stream.read, size)

    def readline(self, size: int) -> bytes:
        """Read to the end of the line, `size` bytes at most."""
        return self._checked(self._stream.readline, size)

    def _checked(self, read: Callable[[int], bytes], size: int) -> bytes:
        try:
            content: bytes = read(size)
        except EOFError as error:
            raise DamagedFileError(
                f"{self._path}: the compressed file is truncated (after {self.offset:,} uncompressed bytes); "
                "copy it again or leave it out"
            ) from error
        except DamagedStreamError as error:
            raise DamagedFileError(
                f"{self._path}: the compressed file is damaged (after {self.offset:,} uncompressed bytes): {error}; "
                "copy it again or leave it out"
            ) from error
        except OSError as error:
            raise InputError(f"{self._path}: can't read the file: {error.strerror or error}") from error
        self.offset += len(content)
        return content

    def seek(self, offset: int) -> None:
        """Go to a byte offset of an uncompressed file."""
        self._stream.seek(offset)
        self.offset = offset

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()


def uncompressed_name(path: str) -> str:
    """Return the path in lower case without the suffix of a compression."""
    lower = path.lower()
    for suffix in COMPRESSION_SUFFIXES:
        if lower.endswith(suffix):
            return lower[: -len(suffix)]
    return lower


def is_compressed(path: str) -> bool:
    """Tell from the suffix whether the file is compressed."""
    return path.lower().endswith(COMPRESSION_SUFFIXES)


def open_uncompressed(file: BinaryIO, path: str) -> CheckedReader:
    """Return a reader of the uncompressed bytes of an opened file, by the suffix of its path."""
    lower = path.lower()
    if lower.endswith(".gz"):
        return CheckedReader(io.BufferedReader(_GzipStream(file), _BUFFER_BYTES), path)
    if lower.endswith(".zst"):
        return CheckedReader(io.BufferedReader(_ZstdStream(file), _BUFFER_BYTES), path)
    return CheckedReader(file, path)
