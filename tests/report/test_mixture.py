"""What training saw of each source, as a report shows it."""

import json
from pathlib import Path
from typing import Any

from pretrain_report.facts.mixture import mixture_rows
from pretrain_report.page import render
from pretrain_report.storage import read_records


def write_lines(path: Path, lines: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def event(name: str, step: int, sources: list[Any]) -> dict[str, Any]:
    return {"time": "2026-01-01T00:00:00Z", "event": name, "step": step, "message": "", "sources": sources}


def source(name: str, tokens: int) -> dict[str, Any]:
    return {"name": name, "sequences": tokens // 1000, "tokens": tokens, "epochs": tokens / 2e6}


def test_the_newest_of_events_and_evaluations_counts(finished: Any) -> None:
    ledger = [
        event("checkpoint", 100, [source("web", 1_000_000)]),
        event("complete", 320, [source("web", 3_000_000), source("wiki", 1_000_000)]),
    ]
    write_lines(finished.layout.ledger, ledger)
    rows = mixture_rows(read_records(finished.job, finished.layout))
    assert [row["name"] for row in rows] == ["web", "wiki"]
    assert rows[0] == {"name": "web", "sequences": "3,000", "tokens": "3.00 M", "share": "75.0 %", "epochs": "1.50"}
    page = render(read_records(finished.job, finished.layout))
    assert "What training saw" in page


def test_a_job_of_before_says_nothing(finished: Any) -> None:
    assert mixture_rows(read_records(finished.job, finished.layout)) == []
    assert "What training saw" not in render(read_records(finished.job, finished.layout))


def test_damaged_figures_are_left_out(finished: Any) -> None:
    write_lines(finished.layout.ledger, [event("complete", 320, ["web", 3])])
    assert mixture_rows(read_records(finished.job, finished.layout)) == []
