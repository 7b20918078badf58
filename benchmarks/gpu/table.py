"""`python -m benchmarks.gpu.table FILE`: the lines of a measurement as a table for a document."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

HEAD = ("case", "tokens/s", "MFU", "estimated GB", "measured GB", "estimate / measured")


def table(lines: Iterable[dict[str, Any]]) -> str:
    """Return the table of the cases that were measured."""
    rows = [HEAD, ("---",) + ("---:",) * (len(HEAD) - 1)]
    rows += [_row(line) for line in lines if "peakBytes" in line]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _row(line: dict[str, Any]) -> tuple[str, ...]:
    return (
        line["case"],
        f"{line['tokensPerSecond']:,}",
        f"{line['mfu']:.1%}" if line["mfu"] is not None else "",
        f"{line['estimatedBytes'] / 1e9:.1f}",
        f"{line['peakBytes'] / 1e9:.1f}",
        f"{line['estimatedToMeasured']:.3f}",
    )


if __name__ == "__main__":
    sys.stdout.write(table(json.loads(line) for line in Path(sys.argv[1]).read_text().splitlines()))
