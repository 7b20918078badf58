"""What benchmarks print."""

from __future__ import annotations

import io
import json

import pytest

from benchmarks.figures import Figure, markdown, show

FASTER = Figure("submission", 0.05, "seconds", goal=0.1, peer="bare", peer_value=0.1)
SLOWER = Figure("filters", 30.0, "MB/s", goal=20.0, peer="datatrove", peer_value=2.0, goal_is_ratio=True)


def test_less_is_better_for_time_and_memory_and_more_for_speed() -> None:
    assert (FASTER.ratio, FASTER.reached) == (2.0, True)
    assert (SLOWER.ratio, SLOWER.reached) == (15.0, False)
    assert Figure("plain", 1.0, "seconds").reached is None


def test_json_is_a_line_a_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JSON", "1")
    output = io.StringIO()
    show([FASTER, SLOWER], output)
    first, second = map(json.loads, output.getvalue().splitlines())
    assert first == {
        "name": "submission",
        "value": 0.05,
        "unit": "seconds",
        "goal": 0.1,
        "peer": "bare",
        "peerValue": 0.1,
        "ratio": 2.0,
    }
    assert second["ratio"] == 15.0


def test_a_table_says_which_goals_are_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JSON", raising=False)
    output = io.StringIO()
    show([FASTER, SLOWER], output)
    assert output.getvalue() == (
        "figure      value     unit      goal       peer  its value  ratio\n"
        "submission   0.05  seconds   ≤ 0.1 ✓       bare        0.1    2 ×\n"
        "filters        30     MB/s  ≥ 20 × ✗  datatrove          2   15 ×\n"
    )


def test_the_same_as_markdown() -> None:
    assert markdown([FASTER]).splitlines()[2] == "| submission | 0.05 | seconds | ≤ 0.1 ✓ | bare | 0.1 | 2 × |"
