"""Phrases that C4's rules for lines look for, and what they find out about a document."""

from __future__ import annotations

from enum import IntEnum

POLICIES = ("terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies", "use cookies")
"""Of the code published with Raffel et al. 2020, in lower case."""
LOREM_IPSUM, JAVASCRIPT = "lorem ipsum", "javascript"
CITATIONS = ("[edit]", "[citation needed]")


class Fact(IntEnum):
    """Columns of the facts about a document."""

    SENTENCES = 0
    LOREM_IPSUM = 1
    CURLY_BRACKET = 2
    LONG_WORD_LINES = 3
    UNENDED_LINES = 4
    SHORT_LINES = 5
    JAVASCRIPT_LINES = 6
    POLICY_LINES = 7
