"""Verdicts of gopher, c4 and fineweb beside datatrove's filters: every difference comes from a known definition.

`python -m benchmarks.verdicts` does the same with 20,000 documents (benchmarks/results/verdicts.md).
"""

from __future__ import annotations

import pytest

from benchmarks.verdicts.comparison import compare
from benchmarks.verdicts.definitions import BY_FILTER, CAUSES, KEEPS
from benchmarks.verdicts.documents import documents
from benchmarks.verdicts.words import words_of_text
from pretrain_dataprep.text.words import words_of


@pytest.mark.slow
def test_every_difference_has_a_cause() -> None:
    texts = documents(500)
    assert len(texts) >= 50
    outcomes = compare(texts)
    assert outcomes.keys() == BY_FILTER.keys() == KEEPS.keys()
    for name, outcome in outcomes.items():
        assert outcome.documents == len(texts)
        assert not outcome.unexplained, name
        assert {part for cause in outcome.causes for part in cause.split(" + ")} <= CAUSES.keys()
    # C4's rules leave nothing to interpret but where sentences end.
    assert outcomes["c4"].both_keep + outcomes["c4"].both_remove >= 0.98 * len(texts)


@pytest.mark.parametrize(
    "text", ["Don't stop", "it’s 'quoted' foo_bar(x1)", "naïve CAFÉ 你好world", "привет, МИР — a—b"]
)
def test_words_as_strings_are_the_words_of_the_kernel(text: str) -> None:
    words = words_of_text(text)
    assert [len(word) for word in words] == words_of(text)[1].tolist()
    assert [words_of(word)[0][0] for word in words] == words_of(text)[0].tolist()
