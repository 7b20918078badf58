"""Appending to ledger.jsonl, from rank 0 and from the supervisor alike."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import math
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pretrain_api.names import LedgerEvent


def utc_now() -> str:
    """Return the time as the wire formats have it: RFC 3339, UTC, seconds."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def append_event(path: Path, event: LedgerEvent, **fields: Any) -> None:
    """Append one line; whole or not at all in the eyes of `read_events`, and on disk when this returns.

    A line is written by a single `write` at the end of the file, so that two processes of a host don't mix theirs.
    A line torn by a crash is closed first, so that it spoils nothing but itself.

    Args:
        path: The ledger; made if it isn't there.
        event: What happened.
        fields: camelCase names: step, sequences, tokens, wallSeconds, message and what else belongs to the event.
            Numbers that aren't finite are written as null.

    Raises:
        OSError: The storage can't be written.
    """
    values = {name: _finite(value) for name, value in fields.items()}
    line = json.dumps({"time": utc_now(), "event": str(event), **values}, ensure_ascii=False, allow_nan=False).encode()
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        # Else a line that another process is just writing would look torn. File systems without locks do without:
        # the worst that comes of it is an empty line.
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        size = os.fstat(descriptor).st_size
        torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
        data = b"\n" * torn + line + b"\n"
        if os.write(descriptor, data) != len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def read_events(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the events of a ledger, oldest first; torn lines are passed over, and no file means no events."""
    if not path.exists():
        return
    with path.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if isinstance(event, dict):
                yield event
