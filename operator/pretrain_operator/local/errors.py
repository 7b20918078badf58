"""Why a local run can't begin or go on."""

from __future__ import annotations


class LocalRunError(Exception):
    """Ends a local run. The message is one line: what is wrong."""

    def __init__(self, message: str, remedy: str) -> None:
        """Keep what is wrong and what to do apart: they are shown on a line each."""
        super().__init__(message)
        self.remedy = remedy
