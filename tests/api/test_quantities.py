"""Numbers of tokens as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pretrain_api.quantities import (
    MAX_TOKENS,
    format_tokens,
    humanize_seconds,
    humanize_tokens,
    parse_tokens,
    suggest_tokens,
)


@pytest.mark.parametrize(
    ("written", "tokens"),
    [
        (0, 0),
        (1_000, 1_000),
        ("0", 0),
        ("262144", 262_144),
        ("256Ki", 262_144),
        ("1Mi", 1_048_576),
        ("2Gi", 2_147_483_648),
        ("4K", 4_000),
        ("4M", 4_000_000),
        ("3.2M", 3_200_000),
        ("20B", 20_000_000_000),
        ("1.4T", 1_400_000_000_000),
        ("0.5Ki", 512),
        (1e9, 1_000_000_000),
        (MAX_TOKENS, MAX_TOKENS),
    ],
)
def test_parse(written: object, tokens: int) -> None:
    assert parse_tokens(written) == tokens


@pytest.mark.parametrize(
    "written",
    [
        *("", " 4M", "4M ", "4 M", "4m", "4G", "4Ti", "-1", "1e9", "1.5", "1,000", "1_000", "0x10", "٣", "4MM"),
        *("10000000000T", "0.0001K", "1." + "0" * 40),
        *(-1, 1.5, float("nan"), float("inf"), MAX_TOKENS + 1, True, None, [], {}),
    ],
)
def test_refused(written: object) -> None:
    with pytest.raises(ValueError, match="tokens"):
        parse_tokens(written)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("10 M", "10M"),
        ("4m", "4M"),
        ("4k", "4K"),
        ("256ki", "256Ki"),
        ("256KiB", "256Ki"),
        ("1G", "1B"),
        ("1bn", "1B"),
        ("1e9", "1B"),
        ("1.5e3", "1.5K"),
        ("1_000", "1000"),
        ("300B tokens", "300B"),
        ("many", None),
        ("-4M", None),
        ("1.0001", None),
    ],
)
def test_suggestion(written: str, meant: str | None) -> None:
    assert suggest_tokens(written) == meant


@given(st.integers(0, MAX_TOKENS))
def test_round_trip(tokens: int) -> None:
    assert parse_tokens(format_tokens(tokens)) == tokens


@given(st.integers(1, 1000), st.sampled_from(["K", "M", "B", "T", "Ki", "Mi", "Gi"]))
def test_format_is_at_most_as_long_as_what_was_written(number: int, suffix: str) -> None:
    assert len(format_tokens(parse_tokens(f"{number}{suffix}"))) <= len(f"{number}{suffix}")


@given(st.text(max_size=30))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    message = ""
    try:
        assert 0 <= parse_tokens(text) <= MAX_TOKENS
    except ValueError as error:
        message = str(error)
    assert message.isprintable()


def test_for_people() -> None:
    assert [humanize_tokens(n) for n in (0, 999, 12_345, 1_228_800, 1.4e12)] == ["0", "999", "12.3K", "1.23M", "1.4T"]
    assert [humanize_seconds(s) for s in (0, 5.4, 60, 61, 7_384, 86_400, 90_061)] == [
        "0s",
        "5s",
        "1m",
        "1m 1s",
        "2h 3m",
        "1d",
        "1d 1h",
    ]
