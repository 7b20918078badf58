"""Other texts of one or two: nothing is lost, nothing is broken."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pretrain_dataprep.augmentation.texts import mixed, shuffled, with_synonyms

TEXTS = st.text(alphabet="ab .!?…。！？\n\"'”」AÉ中-:", max_size=80)


def outcomes(text: str) -> set[str]:
    return {shuffled(text, random.Random(seed)) for seed in range(40)}


@given(TEXTS, st.integers(0, 5))
def test_shuffling_loses_nothing(text: str, seed: int) -> None:
    new = shuffled(text, random.Random(seed))
    assert Counter(new) == Counter(text)
    assert len(new.encode()) == len(text.encode())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One is here. Two is there!", {"One is here. Two is there!", "Two is there! One is here."}),
        ("一是这里。二是那里！", {"一是这里。二是那里！", "二是那里！一是这里。"}),
        # Neither initials nor three full stops end a sentence.
        ("It is of the U.S. Army... and so on.", {"It is of the U.S. Army... and so on."}),
        ("Line one\nLine two.", {"Line one\nLine two."}),
        # What goes on in the next paragraph stays at the end, and what goes on from one at the beginning.
        ("He left. She met\nJohn there. Then", {"He left. She met\nJohn there. Then"}),
        # A line that begins with a small letter goes on.
        ("He left\nearly. She stayed.", {"He left\nearly. She stayed.", "She stayed. He left\nearly."}),
        ("  - Do this. Do that.", {"  - Do this. Do that.", "  Do that. - Do this."}),
    ],
)
def test_what_moves(text: str, expected: set[str]) -> None:
    assert outcomes(text) == expected


def test_synonyms_keep_capitals_and_everything_else() -> None:
    dictionary = {"river": ["stream"], "é": ["e"]}
    assert with_synonyms("A River, rivers; river\n", dictionary, 1.0, random.Random(1)) == "A Stream, rivers; stream\n"
    assert with_synonyms("river " * 50, dictionary, 0.2, random.Random(1)).count("stream") in range(4, 17)


def test_languages_take_turns() -> None:
    assert mixed("It is one. It is two. It is three. It is four.", "Eins ist da.  Zwei ist da.") == (
        "It is one. It is two. It is three.\nEins ist da.  Zwei ist da.\nIt is four."
    )


@given(TEXTS, TEXTS)
def test_mixing_loses_no_sentence(first: str, second: str) -> None:
    new = mixed(first, second)
    assert Counter("".join(new.split())) == Counter("".join(first.split())) + Counter("".join(second.split()))
