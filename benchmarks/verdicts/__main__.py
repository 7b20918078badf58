"""`python -m benchmarks.verdicts`: verdicts of gopher, c4 and fineweb beside datatrove's, differences explained."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks.figures import machine
from benchmarks.verdicts.comparison import Outcome, compare
from benchmarks.verdicts.definitions import CAUSES
from benchmarks.verdicts.documents import LEAST_CHARACTERS, MOST_CHARACTERS, documents

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks/results/verdicts.md"


def main() -> int:
    """Run it; print the tables; write benchmarks/results/verdicts.md if asked to."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.verdicts", description=__doc__)
    parser.add_argument("--documents", type=int, default=20_000, help="how many documents (20000)")
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS.relative_to(ROOT)}")
    options = parser.parse_args()
    texts = documents(options.documents)
    outcomes = compare(texts)
    page = document(texts, outcomes)
    print(page)
    if options.write:
        RESULTS.write_text(page, encoding="utf-8")
    return 1 if any(outcome.unexplained for outcome in outcomes.values()) else 0


def document(texts: list[str], outcomes: dict[str, Outcome]) -> str:
    """Return the results as a page."""
    size = sum(map(len, texts)) / 1e6
    rows = "".join(_row(name, outcome) for name, outcome in outcomes.items())
    causes = "".join(
        f"| {name} | {cause} | {count:,} |\n"
        for name, outcome in outcomes.items()
        for cause, count in outcome.causes.most_common()
    )
    meanings = "".join(f"- **{name}**: {meaning}.\n" for name, meaning in CAUSES.items())
    return (
        "# Verdicts beside datatrove's\n\n"
        f"`python -m benchmarks.verdicts --documents {len(texts)} --write`: {machine(['datatrove', 'spacy', 'numba'])}."
        f"\n\n{len(texts):,} documents of {LEAST_CHARACTERS:,} to {MOST_CHARACTERS:,} characters, {size:.1f} M in all: "
        "descriptions of Python packages, Rust's documentation, manual pages, tidied as the product does it. "
        "datatrove's filters have their own settings, but the papers' thresholds: C4 with 5 words and 3 sentences, "
        "FineWeb with 0.1 of the characters in repeated lines (its own are 3, 5 and 0.01).\n\n"
        "| filter | both keep | both remove | only pretrain keeps | only datatrove keeps | agree | unexplained |\n"
        f"| --- | ---: | ---: | ---: | ---: | ---: | ---: |\n{rows}\n"
        "Each difference is explained by the fewest definitions that, changed from datatrove's to pretrain's in an "
        "implementation in plain Python, turn one verdict into the other; with none changed it has to say what "
        "datatrove says, with all of them what pretrain says.\n\n"
        f"| filter | definitions | differences |\n| --- | --- | ---: |\n{causes}\n{meanings}"
    )


def _row(name: str, outcome: Outcome) -> str:
    agree = (outcome.both_keep + outcome.both_remove) / max(1, outcome.documents)
    return (
        f"| {name} | {outcome.both_keep:,} | {outcome.both_remove:,} | {outcome.only_ours_keeps:,} | "
        f"{outcome.only_theirs_keeps:,} | {agree:.1%} | {len(outcome.unexplained)} |\n"
    )


if __name__ == "__main__":
    sys.exit(main())
