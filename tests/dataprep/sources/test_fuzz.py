"""Readers and extractors under damaged examples and any bytes: a record, a bad record, or a message; never a crash."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from .fuzz import TARGETS


@st.composite
def damaged(draw: st.DrawFn, example: bytes) -> bytes:
    """An example with bytes replaced, removed, inserted and repeated, or cut off."""
    content = bytearray(example)
    for _ in range(draw(st.integers(0, 6))):
        at = draw(st.integers(0, len(content)))
        length = draw(st.sampled_from([0, 1, 1, 2, 8]))
        content[at : at + length] = draw(
            st.one_of(
                st.binary(max_size=4),
                st.sampled_from(
                    [b"\0", b"\xff\xfe", b"\xed\xa0\x80", b"\r\n", b"\xef\xbb\xbf", b"<", b'"', b"{" * 3000]
                ),
                st.just(bytes(content[at : at + 40]) * 2),
            )
        )
    return bytes(content[: draw(st.integers(0, len(content)))] if draw(st.booleans()) else content)


@pytest.mark.parametrize("name", TARGETS)
def test_any_bytes(name: str) -> None:
    target, example = TARGETS[name]
    target(example)
    target(b"")

    @settings(deadline=None, max_examples=60)
    @given(st.one_of(damaged(example), st.binary(max_size=200)))
    def check(content: bytes) -> None:
        target(content)

    check()
