"""C4's rules for lines, and where sentences end."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pretrain_dataprep.kernels.sentences import sentences
from pretrain_dataprep.text.batch import TextBatch
from pretrain_dataprep.text.lines import LineRules, edit_lines
from pretrain_dataprep.text.phrases import POLICIES

C4 = LineRules(min_words=5, min_sentences=3, terminal=True)
FINEWEB = LineRules(min_words=3, min_sentences=5, terminal=False)


def count(text: str) -> int:
    return int(sentences(np.frombuffer(text.encode(), np.uint8)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", 0),
        ("...", 0),
        ("No end", 1),
        ("One. Two? Three!", 3),
        ('He said "Go." She went.', 2),
        ("What?! Really.", 2),
        ("Wait... what happened?", 1),
        ("J. R. R. Tolkien wrote e.g. this. And that, in the U.S. of old.", 2),
        ("Version 3.11 of example.com is out.", 1),
        ("これは文です。これも。", 2),
        ("यह वाक्य है। और यह।", 2),
    ],
)
def test_sentences(text: str, expected: int) -> None:
    assert count(text) == expected


def edited(text: str, rules: LineRules) -> tuple[str | None, str]:
    result = edit_lines(TextBatch.of([text.encode()]), rules)
    return result.reasons[0], result.batch.document(0).decode()


def edited_slowly(text: str, rules: LineRules) -> tuple[str | None, str]:
    """The rules, with strings."""
    kept, total = [], 0
    for whole in text.split("\n"):
        words = whole.split()
        if any(len(word) > rules.max_word_length for word in words):
            continue
        line = re.sub(r"\[[0-9]*\]|\[edit\]|\[citation needed\]", "", whole.strip())
        if rules.terminal and (not line.endswith((".", "?", "!", '"', "'")) or line.endswith("...")):
            continue
        if len(words) < rules.min_words:
            continue
        lower = line.lower()
        if "lorem ipsum" in lower:
            return "lorem-ipsum", "\n".join(kept)
        if "javascript" in lower:
            continue
        if "{" in line:
            return "curly-bracket", "\n".join(kept)
        if any(phrase in lower for phrase in POLICIES):
            continue
        total += count(line)
        kept.append(line)
    return ("too-few-sentences" if total < rules.min_sentences else None), "\n".join(kept)


PIECES = st.sampled_from(
    [
        "word",
        "Word",
        "é",
        "中",
        " ",
        " ",
        "  ",
        "\n",
        "\n",
        ". ",
        ".",
        "...",
        "?",
        '"',
        "{",
        "[12]",
        "[edit]",
        "[",
        "\u00a0",
        "[citation needed]",
        "JavaScript",
        "lorem ipsum",
        "Privacy Policy",
        "use of cookies",
        "three word line.",
        "x" * 1001,
    ]
)


@settings(deadline=None, max_examples=400)
@given(st.lists(PIECES, max_size=40).map("".join), st.sampled_from([C4, FINEWEB]))
def test_lines_equal_their_definition(text: str, rules: LineRules) -> None:
    assert edited(text, rules) == edited_slowly(text, rules)


def test_lines_removed_are_counted() -> None:
    text = "\n".join(
        [
            "The first line is one that stays.",
            "menu",
            "One two three.",
            "Please enable Javascript to see this page well.",
            "This site uses cookies to make you happy.",
            "x" * 1001 + " is a very long word.",
            "",
            "The second line is one that stays. [1]",
            "The second line[2] is one that stays. So is this.",
        ]
    )
    result = edit_lines(TextBatch.of([b"no", text.encode(), b"{"]), C4)
    assert result.reasons == ["too-few-sentences", None, "too-few-sentences"]
    assert (
        result.batch.document(1) == b"The first line is one that stays.\nThe second line is one that stays. So is this."
    )
    assert result.removed_lines == {
        "no-terminal-punctuation": 2,
        "too-few-words": 1,
        "javascript": 1,
        "policy": 1,
        "long-word": 1,
    }
