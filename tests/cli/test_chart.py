"""Curves as text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pretrain_cli.display.chart import MARK, chart

VALUES = st.floats(min_value=-1e6, max_value=1e6)


def test_a_falling_line() -> None:
    assert chart([(0, 2.0), (9, 1.0)], [(9, 1.0)], width=25, height=4) == [
        "2.000 ┤⠉⠒⠤⣀⡀",
        "1.667 ┤    ⠈⠑⠢⠤⣀",
        "1.333 ┤         ⠉⠒⠢⢄⡀",
        "1.000 ┤             ⠈⠉⠒⠤◆",
        "      └──────────────────",
        "       0           step 9",
    ]


@given(st.lists(VALUES, min_size=1, max_size=300), st.integers(20, 200), st.integers(2, 40))
def test_lines_fit_whatever_the_values(values: list[float], width: int, height: int) -> None:
    lines = chart(list(enumerate(values)), [], max(width, 40), height)
    assert len(lines) == height + 2
    assert all(len(line) <= max(width, 40) for line in lines)


@given(VALUES)
def test_a_mark_is_seen_once(value: float) -> None:
    text = "\n".join(chart([(0, 1.0), (10, 2.0)], [(5, value)], 60, 10))
    assert text.count(MARK) == 1


def test_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing to plot"):
        chart([], [], 40, 10)
