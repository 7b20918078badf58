"""What every display can do."""

from __future__ import annotations

from typing import Protocol, Self

from pretrain_operator.local.engine import Update


class Display(Protocol):
    """Shows a run as it goes."""

    def __enter__(self) -> Self:
        """Begin."""

    def __exit__(self, *error: object) -> None:
        """End; nothing that moves is left on the terminal."""

    def show(self, update: Update) -> None:
        """Show a change."""

    def say(self, line: str) -> None:
        """Show a line for people."""
