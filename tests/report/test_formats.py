"""Numbers as people read them."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from pretrain_report import formats


@pytest.mark.parametrize(
    ("function", "value", "expected"),
    [
        (formats.count, 1234567, "1,234,567"),
        (formats.count, None, "–"),
        (formats.compact, 999, "999"),
        (formats.compact, 9_999, "9,999"),
        (formats.compact, 12_345, "12.3 K"),
        (formats.compact, 999_940, "1.00 M"),
        (formats.compact, 1_234_567, "1.23 M"),
        (formats.compact, 1.4e12, "1.40 T"),
        (formats.tokens, 2048, "2Ki"),
        (formats.tokens, 256 * 1024, "256Ki"),
        (formats.tokens, 4 << 20, "4Mi"),
        (formats.tokens, 3_200_000, "3,125Ki"),
        (formats.tokens, 4_000_000, "4M"),
        (formats.tokens, 512, "512"),
        (formats.size, 812, "812 bytes"),
        (formats.size, 10_200_000, "10.2 MB"),
        (formats.size, 999_999, "1.00 MB"),
        (formats.decimals, math.nan, "not finite"),
        (formats.decimals, 3.14159, "3.142"),
        (formats.scientific, 3e-4, "3e-4"),
        (formats.scientific, 1.25e-3, "1.25e-3"),
        (formats.scientific, 0.0, "0"),
        (formats.duration, 0.4, "0.4 s"),
        (formats.duration, 59.97, "1 min"),
        (formats.duration, 252, "4 min 12 s"),
        (formats.duration, 3599.7, "1 h"),
        (formats.duration, 11_100, "3 h 5 min"),
        (formats.duration, 200_000, "2 d 7 h"),
    ],
)
def test_formats(function: Callable[[float | None], str], value: float | None, expected: str) -> None:
    assert function(value) == expected


def test_shares() -> None:
    assert formats.percentage(1, 8) == "12.5 %"
    assert formats.percentage(1, 100_000) == "< 0.1 %"
    assert formats.percentage(0, 5) == "0.0 %"
    assert formats.percentage(3, 0) == "–"


def test_times_are_in_utc() -> None:
    assert formats.moment(formats.parse_time("2026-01-31T23:58:00Z")) == "31 Jan 2026, 23:58:00 UTC"
    assert formats.moment(formats.parse_time("2026-02-01T01:58:00+02:00")) == "31 Jan 2026, 23:58:00 UTC"
    assert formats.parse_time("yesterday") is None
    assert formats.parse_time(None) is None
