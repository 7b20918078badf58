"""Tries again what a network or a busy server made fail."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from typing import Any, TypeVar

from pretrain_dataprep.errors import TemporaryError
from pretrain_dataprep.progress import log

ATTEMPTS = 6
_FIRST_DELAY_SECONDS = 0.5

_FINAL = (
    FileNotFoundError,
    PermissionError,
    IsADirectoryError,
    NotADirectoryError,
    FileExistsError,
    ImportError,
    NotImplementedError,
    TypeError,
    ValueError,
)
"""Errors that a second try doesn't mend. Drivers raise their own besides OSError, so anything else is worth one."""
_FINAL_NAMES = ("NoCredentialsError", "PartialCredentialsError", "ProfileNotFound", "FileExpired")
"""The same in drivers that may not be installed (botocore, s3fs)."""

_WORTH_ANOTHER_TRY = (408, 425, 429)
"""Request timeout, too early, too many requests."""

Result = TypeVar("Result")


def is_final(error: Exception) -> bool:
    """Tell whether trying again is useless."""
    return isinstance(error, _FINAL) or type(error).__name__ in _FINAL_NAMES or _is_refused(error)


def _is_refused(error: Exception) -> bool:
    """Tell whether a server says that the request itself is at fault: 401, 403, …"""
    status = getattr(error, "status", None) or getattr(getattr(error, "response", None), "status_code", None)
    return isinstance(status, int) and 400 <= status < 500 and status not in _WORTH_ANOTHER_TRY


def with_retries(action: Callable[[], Result], what: str) -> Result:
    """Return what `action` returns, trying up to ATTEMPTS times with growing pauses (15 s in all).

    Raises:
        TemporaryError: it failed each time; `what` says what, for people.
        Exception: what `action` raised, if trying again is useless.
    """
    for attempt in range(ATTEMPTS):
        try:
            return action()
        except Exception as error:
            if is_final(error):
                raise
            if attempt == ATTEMPTS - 1:
                cause = " ".join(str(error).split())[:200] or type(error).__name__
                raise TemporaryError(f"{what} failed {ATTEMPTS} times: {cause}; try again later") from error
            log(f"{what} failed ({type(error).__name__}: {str(error)[:200]}); trying again")
            time.sleep(_FIRST_DELAY_SECONDS * 2**attempt)
    raise AssertionError("unreachable")


class RetriedFile(io.RawIOBase):
    """Reads a file whose reads may be repeated: a failed one leaves the position of an fsspec file where it was."""

    def __init__(self, file: Any, path: str) -> None:
        self._file = file
        self._path = path

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return bool(self._file.seekable())

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return int(self._file.seek(offset, whence))

    def tell(self) -> int:
        return int(self._file.tell())

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        content = with_retries(lambda: self._file.read(len(buffer)), f"{self._path}: reading")
        buffer[: len(content)] = content
        return len(content)

    def close(self) -> None:
        self._file.close()
        super().close()
