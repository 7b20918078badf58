"""C4's rules for lines: which lines of a document go, and which documents go for a line or for lack of sentences.

Raffel et al. 2020 ("Exploring the Limits of Transfer Learning with a Unified Text-to-Text Transformer"), section 2.2;
the longest word, the phrases of policies and the citations are those of the code published with it. Lines are taken in
order:

1. whitespace around the line goes; a line with a word of more than `max_word_length` characters goes;
2. citations ([12], [edit], [citation needed]) are cut out;
3. a line that doesn't end in . ? ! " or ', or that ends in an ellipsis, goes (if `terminal`);
4. a line of fewer than `min_words` words (between whitespace, citations counted) goes;
5. "lorem ipsum" removes the document; "javascript" the line; { the document; a phrase of a policy the line;
6. a document with fewer than `min_sentences` sentences (`sentences`) in the lines that are left goes.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from pretrain_dataprep.kernels.lines import write_lines
from pretrain_dataprep.text.batch import TextBatch
from pretrain_dataprep.text.phrases import Fact

_DOCUMENT_REASONS = {Fact.LOREM_IPSUM: "lorem-ipsum", Fact.CURLY_BRACKET: "curly-bracket"}
_LINE_REASONS = {
    Fact.LONG_WORD_LINES: "long-word",
    Fact.UNENDED_LINES: "no-terminal-punctuation",
    Fact.SHORT_LINES: "too-few-words",
    Fact.JAVASCRIPT_LINES: "javascript",
    Fact.POLICY_LINES: "policy",
}


@dataclass(frozen=True)
class LineRules:
    """Thresholds of the rules for lines."""

    min_words: int
    min_sentences: int
    terminal: bool
    """Whether lines have to end in a terminal punctuation mark or quotation mark."""
    max_word_length: int = 1000


@dataclass(frozen=True)
class Edited:
    """What the rules for lines made of a batch."""

    batch: TextBatch
    """The lines that are left; documents that go have what was left when that was found."""
    reasons: list[str | None]
    """Reason for removal of each document; None: it stays."""
    removed_lines: Counter[str]
    """Lines removed from documents that stay, by reason."""


def edit_lines(batch: TextBatch, rules: LineRules) -> Edited:
    """Apply the rules to every line of a batch."""
    out = np.empty(len(batch.text), np.uint8)
    offsets = np.zeros(len(batch) + 1, np.int64)
    facts = np.zeros((len(batch), len(Fact)), np.int64)
    write_lines(batch.text, batch.offsets, rules.min_words, rules.max_word_length, rules.terminal, out, offsets, facts)
    reasons = [_reason(row, rules) for row in facts.tolist()]
    stay = np.array([reason is None for reason in reasons], bool)
    totals = facts[stay].sum(axis=0)
    removed = Counter({name: int(totals[fact]) for fact, name in _LINE_REASONS.items() if totals[fact]})
    return Edited(TextBatch(out[: offsets[-1]], offsets), reasons, removed)


def _reason(facts: list[int], rules: LineRules) -> str | None:
    for fact, reason in _DOCUMENT_REASONS.items():
        if facts[fact]:
            return reason
    return "too-few-sentences" if facts[Fact.SENTENCES] < rules.min_sentences else None
