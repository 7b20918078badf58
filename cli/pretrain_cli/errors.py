"""Errors of the command line: a line why, a line what to do."""

from __future__ import annotations


class UsageError(Exception):
    """What was asked for can't be done. Each line is shown as it is; the exit code is 1."""

    def __init__(self, *lines: str) -> None:
        """Keep the lines."""
        super().__init__("\n".join(lines))
        self.lines = lines
