"""The preparation's line in the job's ledger."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pretrain_api.names import LedgerEvent


def note_prepared(path: Path, fingerprint: str, facts: dict[str, Any]) -> None:
    """Append a `data-prepared` line, unless the newest one is about the same data."""
    if _last_fingerprint(path) == fingerprint:
        return
    time = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    event = {"time": time, "event": LedgerEvent.DATA_PREPARED, "fingerprint": fingerprint, **facts}
    line = json.dumps(event, ensure_ascii=False).encode() + b"\n"
    with path.open("ab+") as file:
        if file.tell() > 0:
            file.seek(-1, os.SEEK_END)
            # A writer that was killed may have left half a line.
            if file.read(1) != b"\n":
                line = b"\n" + line
        file.write(line)
        file.flush()
        os.fsync(file.fileno())


def _last_fingerprint(path: Path) -> str | None:
    found = None
    if path.exists():
        with path.open("rb") as file:
            for line in file:
                if b'"data-prepared"' in line:
                    try:
                        found = json.loads(line).get("fingerprint")
                    except ValueError:
                        continue
    return found
