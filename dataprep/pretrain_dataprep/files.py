"""Files that appear whole or not at all."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self

import xxhash

if TYPE_CHECKING:
    import numpy as np

_HASH_BLOCK_BYTES = 1 << 20


def temporary_path(path: Path) -> Path:
    """Return a name beside `path`, hidden and of this process alone (in pods every process may have the same id)."""
    return path.with_name(f".tmp-{path.name}-{os.getpid()}-{secrets.token_hex(4)}")


def sync(path: Path) -> None:
    """Make the content of a file, or the names in a folder, durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def atomic_file(path: Path) -> Iterator[IO[bytes]]:
    """Open a file that gets its name when the block ends without an exception."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_path(path)
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        sync(path.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder that replaces `path` when the block ends without an exception.

    A process killed between the two renames leaves no folder rather than half of one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_path(path)
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        yield temporary
        for file in temporary.iterdir():
            sync(file)
        sync(temporary)
        _replace_folder(temporary, path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def _replace_folder(new: Path, path: Path) -> None:
    discarded = new.with_name(new.name + "-old")
    if path.exists():
        path.replace(discarded)
    new.replace(path)
    sync(path.parent)
    shutil.rmtree(discarded, ignore_errors=True)


def remove_leftovers(path: Path) -> list[str]:
    """Remove what a killed process left of writing `path`; return the names that are gone."""
    removed = []
    # Names of other units may begin with this one's; theirs are none of our business.
    ours = re.compile(re.escape(f".tmp-{path.name}-") + r"\d+-[0-9a-f]{8}(?:-old)?")
    for leftover in sorted(path.parent.glob(".tmp-*")):
        if not ours.fullmatch(leftover.name):
            continue
        if leftover.is_dir():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            leftover.unlink(missing_ok=True)
        removed.append(leftover.name)
    return removed


def write_json(path: Path, value: Any) -> None:
    """Write `value` as JSON with sorted keys, atomically."""
    with atomic_file(path) as file:
        file.write(json_bytes(value))


def json_bytes(value: Any) -> bytes:
    """Return readable JSON with sorted keys: equal values give equal bytes."""
    return (json.dumps(value, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def hash_file(path: Path) -> str:
    """Return the xxh3-128 of a file, in hexadecimal."""
    digest = xxhash.xxh3_128()
    with path.open("rb") as file:
        while block := file.read(_HASH_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def write_array(path: Path, array: np.ndarray) -> None:
    """Write a NumPy array as .npy inside a folder that isn't published yet.

    Not `numpy.save`: it hides the reason (such as a full disk) of a failed write.
    """
    with NpyWriter(path, array.dtype, array.shape[1:]) as writer:
        writer.append(array)


class NpyWriter:
    """Writes a .npy file row by row, its length known only at the end."""

    _LEAST_HEADER_BYTES = 128
    _SHAPE_BYTES = 77
    """Room for what the header says beside the type."""

    def __init__(self, path: Path, dtype: np.dtype | type, row_shape: tuple[int, ...] = ()) -> None:
        import numpy
        from numpy.lib.format import dtype_to_descr

        self._dtype = numpy.dtype(dtype)
        self._description = repr(dtype_to_descr(self._dtype))
        needed = len(self._description) + self._SHAPE_BYTES
        self._header_bytes = max(self._LEAST_HEADER_BYTES, (needed + 63) // 64 * 64)
        self._row_shape = row_shape
        self._rows = 0
        self._file = path.open("wb")
        self._file.write(b"\0" * self._header_bytes)

    def append(self, array: np.ndarray) -> None:
        """Append rows: shape (n, *row_shape), dtype as given."""
        import numpy

        if array.shape[1:] != self._row_shape:
            raise ValueError(f"rows of shape {array.shape[1:]} don't fit {self._row_shape}")
        self._file.write(numpy.ascontiguousarray(array, self._dtype).reshape(-1).view(numpy.uint8).data)
        self._rows += len(array)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self._finish()
        finally:
            self._file.close()

    def _finish(self) -> None:
        shape = (self._rows, *self._row_shape)
        header = f"{{'descr': {self._description}, 'fortran_order': False, 'shape': {shape!r}, }}".encode()
        room = self._header_bytes - 10 - 1
        if len(header) > room:
            raise ValueError(f"the header of {self._file.name} is longer than {room} bytes")
        self._file.seek(0)
        self._file.write(b"\x93NUMPY\x01\x00" + (room + 1).to_bytes(2, "little") + header.ljust(room) + b"\n")
