"""Says on standard error what is being done, and since when."""

from __future__ import annotations

import sys
import threading
import time

SECONDS_BETWEEN_LINES = 15.0
"""How often a long step repeats itself where the output isn't a terminal."""


class Progress:
    """Lines of `seconds since the start, what is being done`; a step's own progress rewrites its line on a terminal."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._last_detail = 0.0
        self._rewrite = sys.stderr.isatty()
        self._open_line = False
        self._lock = threading.Lock()

    def step(self, text: str) -> None:
        """A step begins."""
        with self._lock:
            self._end_line()
            self._print(text, "\n")

    def detail(self, text: str) -> None:
        """How far the current step is; may be called often."""
        with self._lock:
            now = time.monotonic()
            if self._rewrite:
                self._print(f"\r\033[K{self._stamp()} {text}", "", stamped=False)
                self._open_line = True
            elif now - self._last_detail >= SECONDS_BETWEEN_LINES:
                self._last_detail = now
                self._print(text, "\n")

    def _stamp(self) -> str:
        return f"[{time.monotonic() - self._started:6.1f} s]"

    def _print(self, text: str, end: str, stamped: bool = True) -> None:
        print(f"{self._stamp()} {text}" if stamped else text, end=end, file=sys.stderr, flush=True)

    def _end_line(self) -> None:
        if self._open_line:
            print(file=sys.stderr)
            self._open_line = False
