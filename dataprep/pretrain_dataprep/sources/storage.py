"""Files of a source: on this machine, or behind any fsspec URL."""

from __future__ import annotations

import glob
import os
from typing import BinaryIO, NamedTuple, Protocol

import xxhash

from pretrain_api.names import Reason
from pretrain_dataprep.errors import InputError

_BUFFER_BYTES = 1 << 20


class StoredFile(NamedTuple):
    """A file of a source."""

    path: str
    relative_path: str
    """Path below the part of the URI that has no wildcard."""
    size: int


class FileStore(Protocol):
    """Where files are listed and opened."""

    def list_files(self, uri: str) -> list[StoredFile]:
        """List the files that a path, a glob or a directory means, sorted. Raises InputError if there are none."""
        ...

    def open(self, path: str) -> BinaryIO:
        """Open a file for reading. Raises InputError."""
        ...

    def version(self, path: str) -> str | None:
        """Return what changes with the file's content, if the store knows such a thing without reading it."""
        ...


def file_store(uri: str) -> FileStore:
    """Return the store that knows `uri`."""
    if "://" not in uri or uri.startswith("file://"):
        return LocalFiles()
    from pretrain_dataprep.sources.remote import RemoteFiles

    return RemoteFiles(uri)


def root_of(pattern: str) -> str:
    """Return the leading directories of a path or pattern that have no wildcard."""
    parts = pattern.split("/")
    fixed = []
    for part in parts[:-1]:
        if glob.has_magic(part):
            break
        fixed.append(part)
    return "/".join(fixed)


def relative_to(path: str, root: str) -> str:
    """Return a path below a root."""
    return path[len(root) :].lstrip("/") if path.startswith(root) else path


class LocalFiles:
    """Files on this machine."""

    def list_files(self, uri: str) -> list[StoredFile]:
        path = uri.removeprefix("file://")
        if os.path.isdir(path):
            root, names = path.rstrip("/"), self._walk(path)
        elif glob.has_magic(path) and not os.path.lexists(path):
            root, names = root_of(path), [name for name in glob.glob(path, recursive=True) if os.path.isfile(name)]
            if not names:
                raise InputError(f"{uri}: no file matches this pattern", Reason.MISSING_DATA)
        else:
            root, names = os.path.dirname(path), [path]
        return [StoredFile(name, relative_to(name, root), self._size(name)) for name in sorted(names)]

    def _walk(self, folder: str) -> list[str]:
        # Links to directories aren't followed, so that a cycle can't catch us.
        return [
            os.path.join(parent, name)
            for parent, _, names in os.walk(folder, onerror=_raise_unreadable)
            for name in names
            if not name.startswith(".") and "/." not in parent[len(folder) :]
        ]

    def _size(self, path: str) -> int:
        try:
            status = os.stat(path)
        except FileNotFoundError as error:
            raise InputError(
                f"{path}: no such file or directory; check the source's uri", Reason.MISSING_DATA
            ) from error
        except OSError as error:
            raise InputError(f"{path}: can't read the file: {error.strerror}") from error
        if not os.path.isfile(path):
            raise InputError(f"{path}: not a regular file")
        return status.st_size

    def open(self, path: str) -> BinaryIO:
        try:
            return open(path, "rb", buffering=_BUFFER_BYTES)
        except OSError as error:
            raise InputError(f"{path}: can't read the file: {error.strerror}") from error

    def version(self, path: str) -> str | None:
        return None


def _raise_unreadable(error: OSError) -> None:
    raise InputError(f"{error.filename}: can't list the directory: {error.strerror}") from error


def hash_range(store: FileStore, path: str, start: int, end: int, to_line_end: bool) -> str:
    """Return the xxh3-128 of the bytes [start, end) of a file, and on to the end of the line if asked."""
    version = store.version(path)
    if version is not None:
        return hash_version(version, start, end)
    with store.open(path) as file:
        return hash_ranges(file, [(start, end)], to_line_end)


def hash_version(version: str, start: int, end: int) -> str:
    """Return the xxh3-128 of a byte range of a file of which the store knows the version."""
    return xxhash.xxh3_128_hexdigest(f"{version} {start} {end}".encode())


def hash_ranges(file: BinaryIO, ranges: list[tuple[int, int]], to_line_end: bool = False) -> str:
    """Return the xxh3-128 of byte ranges [start, end) of a file, and on to the end of the line if asked."""
    digest = xxhash.xxh3_128()
    for start, end in ranges:
        file.seek(start)
        left = end - start
        while left > 0 and (block := file.read(min(left, _BUFFER_BYTES))):
            digest.update(block)
            left -= len(block)
    while to_line_end and (block := file.readline(_BUFFER_BYTES)):
        digest.update(block)
        to_line_end = not block.endswith(b"\n")
    return digest.hexdigest()
