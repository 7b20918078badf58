"""Output: the ranks' lines and the supervisor's own, as text with a prefix or as JSON lines."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import BinaryIO, Literal

LOGGER = logging.getLogger("pretrain_trainer.supervisor")
MAX_LINE_BYTES = 1 << 16
"""Longer lines are cut into pieces."""


class LineSplitter:
    """Cuts a stream of bytes into lines; pure."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """Return the lines that are complete, without line ends."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > MAX_LINE_BYTES:
            lines.append(self._rest)
            self._rest = b""
        return [line.rstrip(b"\r") for line in lines]

    def close(self) -> list[bytes]:
        """Return what is left."""
        rest, self._rest = self._rest, b""
        return [rest] if rest else []


class LineWriter:
    """Writes lines of a named source to this process's standard output or error."""

    def __init__(self, log_format: Literal["text", "json"]) -> None:
        self._json = log_format == "json"

    def write(self, source: dict[str, str | int], stream: BinaryIO, line: bytes) -> None:
        """Write one line.

        Args:
            source: Such as {"rank": 0} or {"component": "launcher"}.
            stream: Where to.
            line: Without its line end.
        """
        if self._json:
            text = line.decode("utf-8", "replace")
            data = json.dumps({"time": _now(), **source, "message": text}, ensure_ascii=False).encode()
        else:
            data = f"[{' '.join(str(part) for part in _label(source))}] ".encode() + line
        stream.write(data + b"\n")
        stream.flush()


class SupervisorHandler(logging.Handler):
    """The supervisor's own lines, to standard error."""

    def __init__(self, writer: LineWriter) -> None:
        super().__init__()
        self._writer = writer

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record; all lines of it."""
        source: dict[str, str | int] = {"component": "supervisor", "level": record.levelname.lower()}
        for line in self.format(record).splitlines():
            self._writer.write(source, sys.stderr.buffer, line.encode())


class PipeReader:
    """Passes the lines of a pipe on; call `read` when the pipe is readable."""

    def __init__(self, descriptor: int, deliver: Callable[[bytes], None]) -> None:
        os.set_blocking(descriptor, False)
        self.descriptor = descriptor
        self._deliver = deliver
        self._splitter = LineSplitter()

    def read(self) -> bool:
        """Pass on what is there; False at the end of the stream."""
        while True:
            try:
                data = os.read(self.descriptor, MAX_LINE_BYTES)
            except BlockingIOError:
                return True
            lines = self._splitter.feed(data) if data else self._splitter.close()
            for line in lines:
                self._deliver(line)
            if not data:
                return False


def _label(source: dict[str, str | int]) -> list[str | int]:
    if "rank" in source:
        return ["rank", source["rank"]]
    return [source["component"]]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
