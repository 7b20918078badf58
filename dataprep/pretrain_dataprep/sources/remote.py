"""Files behind an fsspec URL: s3://, gs://, hf://, https://, memory://….

Credentials are those that the driver finds by itself: `AWS_ACCESS_KEY_ID`, `AWS_ENDPOINT_URL`, … or a pod's role for
S3, `GOOGLE_APPLICATION_CREDENTIALS`, `HF_TOKEN`, or any `FSSPEC_<SCHEME>_<OPTION>`.
"""

from __future__ import annotations

import glob
import io
import json
from collections.abc import Callable
from typing import Any, BinaryIO, TypeVar, cast

from pretrain_api.names import Reason
from pretrain_dataprep.errors import InputError, PreparationError, TemporaryError
from pretrain_dataprep.sources.retries import RetriedFile, with_retries
from pretrain_dataprep.sources.storage import StoredFile, relative_to, root_of

_BUFFER_BYTES = 1 << 20
_VERSION_KEYS = ("ETag", "etag", "md5Hash", "crc32c", "sha256", "blob_id")

Result = TypeVar("Result")


class RemoteFiles:
    """Files of one fsspec file system. What the listing said of a file holds for the whole of the work item."""

    def __init__(self, uri: str) -> None:
        import fsspec

        try:
            self._system: Any = fsspec.core.url_to_fs(uri)[0]
        except ImportError as error:
            raise InputError(f"{uri}: {error}; install the drivers: pip install 'pretrain[remote]'") from error
        except ValueError as error:
            raise InputError(f"{uri}: can't open this kind of URL: {error}; use s3, gs, hf or https") from error
        self._scheme = uri.split("://", 1)[0]

    def list_files(self, uri: str) -> list[StoredFile]:
        pattern = self._system._strip_protocol(uri)
        infos = self._ask(lambda: self._infos(pattern), uri, "listing")
        files = {name: info for name, info in infos.items() if info["type"] == "file" and not _is_hidden(name, pattern)}
        if not files:
            raise InputError(f"{uri}: no such file, or no file matches; check the source's uri", Reason.MISSING_DATA)
        root = root_of(pattern) if glob.has_magic(pattern) or pattern in infos else pattern
        return [
            StoredFile(self._url(name), relative_to(name, root), self._size(name, info))
            for name, info in sorted(files.items())
        ]

    def _infos(self, pattern: str) -> dict[str, Any]:
        if glob.has_magic(pattern):
            return dict(self._system.glob(pattern, detail=True))
        if self._system.isdir(pattern):
            return dict(self._system.find(pattern, detail=True))
        return {pattern: self._system.info(pattern)}

    def _size(self, name: str, info: dict[str, Any]) -> int:
        size = info.get("size")
        if size is None:
            # Globs of web pages list links without asking for each.
            size = self._ask(lambda: self._system.info(name), self._url(name), "asking").get("size")
        if size is None:
            raise InputError(f"{self._url(name)}: the server doesn't say the file's size; copy it to storage that does")
        return int(size)

    def _url(self, name: str) -> str:
        return name if "://" in name else f"{self._scheme}://{name}"

    def _ask(self, question: Callable[[], Result], path: str, what: str) -> Result:
        """Ask the driver something; its errors become ours."""
        try:
            return with_retries(question, f"{path}: {what}")
        except Exception as error:
            raise _explained(error, path, what) from error

    def open(self, path: str) -> BinaryIO:
        file = self._ask(lambda: self._system.open(path, "rb"), path, "opening")
        return cast("BinaryIO", io.BufferedReader(_ReportedFile(file, path), _BUFFER_BYTES))

    def version(self, path: str) -> str | None:
        info = self._ask(lambda: self._system.info(path), path, "asking")
        for key in _VERSION_KEYS:
            if info.get(key):
                return f"{key}:{json.dumps(info[key], default=str)}"
        return None


class _ReportedFile(RetriedFile):
    """A remote file whose errors say what to do."""

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        try:
            return super().readinto(buffer)
        except Exception as error:
            raise _explained(error, self._path, "reading") from error


def _explained(error: Exception, path: str, what: str) -> PreparationError:
    if isinstance(error, PreparationError):
        return error
    if isinstance(error, FileNotFoundError):
        return InputError(f"{path}: no such file or directory; check the source's uri", Reason.MISSING_DATA)
    # s3fs asks for the version that was listed, and says so when there is another one.
    if type(error).__name__ == "FileExpired":
        return TemporaryError(f"{path}: the file changed while it was read; run again when nobody writes to it")
    cause = " ".join(str(error).split())[:300] or type(error).__name__
    return InputError(f"{path}: {what} failed: {cause}; check the uri and the credentials")


def _is_hidden(name: str, pattern: str) -> bool:
    return not glob.has_magic(pattern) and any(part.startswith(".") for part in name[len(pattern) :].split("/"))
