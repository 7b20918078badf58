"""Files of a source: on this machine, or behind any fsspec URL."""

from __future__ import annotations

import glob
import json
import os
from typing import Any, BinaryIO, NamedTuple, Protocol, cast

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
    return RemoteFiles(uri)


def _root(pattern: str) -> str:
    """Return the leading directories of a path or pattern that have no wildcard."""
    parts = pattern.split("/")
    fixed = []
    for part in parts[:-1]:
        if glob.has_magic(part):
            break
        fixed.append(part)
    return "/".join(fixed)


def _relative(path: str, root: str) -> str:
    return path[len(root) :].lstrip("/") if path.startswith(root) else path


class LocalFiles:
    """Files on this machine."""

    def list_files(self, uri: str) -> list[StoredFile]:
        path = uri.removeprefix("file://")
        if os.path.isdir(path):
            root, names = path.rstrip("/"), self._walk(path)
        elif glob.has_magic(path) and not os.path.lexists(path):
            root, names = _root(path), [name for name in glob.glob(path, recursive=True) if os.path.isfile(name)]
            if not names:
                raise InputError(f"{uri}: no file matches this pattern", Reason.MISSING_DATA)
        else:
            root, names = os.path.dirname(path), [path]
        return [StoredFile(name, _relative(name, root), self._size(name)) for name in sorted(names)]

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


class RemoteFiles:
    """Files behind an fsspec URL (s3://, gs://, hf://, https://, memory://…)."""

    def __init__(self, uri: str) -> None:
        import fsspec

        try:
            self._system: Any = fsspec.core.url_to_fs(uri)[0]
        except (ImportError, ValueError) as error:
            raise InputError(f"{uri}: can't open this kind of URL: {error}") from error
        self._scheme = uri.split("://", 1)[0]

    def list_files(self, uri: str) -> list[StoredFile]:
        pattern = self._system._strip_protocol(uri)
        try:
            infos = self._infos(pattern)
        except (OSError, ValueError) as error:
            raise InputError(f"{uri}: can't list it: {error}", Reason.MISSING_DATA) from error
        files = {name: info for name, info in infos.items() if info["type"] == "file"}
        if not files:
            raise InputError(f"{uri}: no such file, or no file matches", Reason.MISSING_DATA)
        root = _root(pattern) if pattern not in infos else os.path.dirname(pattern)
        return [
            StoredFile(self._url(name), _relative(name, root), int(info["size"] or 0))
            for name, info in sorted(files.items())
        ]

    def _infos(self, pattern: str) -> dict[str, Any]:
        if glob.has_magic(pattern):
            return dict(self._system.glob(pattern, detail=True))
        if self._system.isdir(pattern):
            return dict(self._system.find(pattern, detail=True))
        return {pattern: self._system.info(pattern)}

    def _url(self, name: str) -> str:
        return name if "://" in name else f"{self._scheme}://{name}"

    def open(self, path: str) -> BinaryIO:
        try:
            return cast("BinaryIO", self._system.open(path, "rb"))
        except (OSError, ValueError) as error:
            raise InputError(f"{path}: can't read the file: {error}") from error

    def version(self, path: str) -> str | None:
        info = self._system.info(path)
        for key in ("ETag", "etag", "md5Hash", "crc32c", "sha256", "blob_id"):
            if info.get(key):
                return f"{key}:{json.dumps(info[key], default=str)}"
        return None


def hash_range(store: FileStore, path: str, start: int, end: int, to_line_end: bool) -> str:
    """Return the xxh3-128 of the bytes [start, end) of a file, and on to the end of the line if asked."""
    version = store.version(path)
    digest = xxhash.xxh3_128()
    if version is not None:
        digest.update(f"{version} {start} {end}".encode())
        return digest.hexdigest()
    with store.open(path) as file:
        file.seek(start)
        left = end - start
        while left > 0 and (block := file.read(min(left, _BUFFER_BYTES))):
            digest.update(block)
            left -= len(block)
        while to_line_end and (block := file.readline(_BUFFER_BYTES)):
            digest.update(block)
            to_line_end = not block.endswith(b"\n")
    return digest.hexdigest()
