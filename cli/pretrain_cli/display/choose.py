"""Which display suits the output."""

from __future__ import annotations

import sys
from typing import Literal

from pretrain_cli.display.interface import Display


def choose_display(job: str, output: Literal["text", "json"], quiet: bool) -> Display:
    """Return the display for a job: JSON or nothing where asked for, live on a terminal, plain lines elsewhere."""
    if output == "json":
        from pretrain_cli.display.json_lines import JsonDisplay

        return JsonDisplay()
    from pretrain_cli.display.plain import PlainDisplay, QuietDisplay

    if quiet:
        return QuietDisplay()
    if not sys.stdout.isatty():
        return PlainDisplay()
    from rich.console import Console

    from pretrain_cli.display.live import LiveDisplay

    return LiveDisplay(Console(), job)
