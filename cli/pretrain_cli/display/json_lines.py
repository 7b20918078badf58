"""One line of JSON an update, for machines: the status as in status.json."""

from __future__ import annotations

import sys
import time
from typing import Self

from pretrain_cli.display.plain import write_line
from pretrain_operator.local.engine import Update

EVERY_SECONDS = 1.0


class JsonDisplay:
    """The status at most once a second; the last line is the last status."""

    def __init__(self) -> None:
        self._last_time = 0.0
        self._pending: Update | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._pending is not None:
            self._write(self._pending)

    def show(self, update: Update) -> None:
        """Write the status, or keep it until a second has passed."""
        self._pending = update
        if time.monotonic() - self._last_time >= EVERY_SECONDS:
            self._write(update)

    def say(self, line: str) -> None:
        """Lines for people go to the standard error."""
        print(line, file=sys.stderr, flush=True)

    def _write(self, update: Update) -> None:
        write_line(update.status.model_dump_json(by_alias=True, exclude_none=True), sys.stdout)
        self._last_time = time.monotonic()
        self._pending = None
