"""Another text made of one or two: sentences in another order, other words, two documents as one."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from itertools import zip_longest

# Not after a single letter (U.S., e.g.) or a second full stop; in scripts without spaces right after the mark.
_SENTENCE_END = re.compile(r"((?<=[.!?…])(?<!\b\w\.)(?<!\.\.)\s+|(?<=[。！？])(?![。！？」』”’）\s]|$))")
_TERMINATED = re.compile(r"[.!?…。！？:][\"'”’)\]」』）]*\s*$")
_WORD = re.compile(r"\w+")
_MIXED_RUN = 3
"""Sentences of one document before the other one goes on."""
JOINT = "\n\n"
"""Between two documents that are joined."""


def shuffled(text: str, generator: random.Random) -> str:
    """Return the sentences of each paragraph in another order.

    A paragraph is a line, and the lines after it that begin with a small letter. A sentence that goes on in the next
    paragraph, or has begun in the one before, stays where it is. So does what is between sentences, and the size.
    """
    paragraphs = _paragraphs(text)
    befores = ["", *paragraphs]
    return "\n".join(
        _shuffled_paragraph(paragraph, generator, goes_on=bool(before.strip()) and not _TERMINATED.search(before))
        for paragraph, before in zip(paragraphs, befores, strict=False)
    )


def _paragraphs(text: str) -> list[str]:
    paragraphs: list[list[str]] = []
    for line in text.split("\n"):
        if paragraphs and paragraphs[-1][-1].strip() and line[:1].islower():
            paragraphs[-1].append(line)
        else:
            paragraphs.append([line])
    return ["\n".join(lines) for lines in paragraphs]


def _shuffled_paragraph(paragraph: str, generator: random.Random, goes_on: bool) -> str:
    content = paragraph.strip()
    pieces = _SENTENCE_END.split(content)
    sentences = pieces[::2]
    first, end = int(goes_on), len(sentences) - (_TERMINATED.search(content) is None)
    if end - first < 2:
        return paragraph
    middle = sentences[first:end]
    generator.shuffle(middle)
    pieces[2 * first : 2 * end : 2] = middle
    start = len(paragraph) - len(paragraph.lstrip())
    return paragraph[:start] + "".join(pieces) + paragraph[start + len(content) :]


def with_synonyms(text: str, dictionary: Mapping[str, Sequence[str]], rate: float, generator: random.Random) -> str:
    """Return the text with words replaced, each with probability `rate`; a capital at the beginning stays one.

    Args:
        text: The text.
        dictionary: Synonyms of words in lower case.
        rate: Share of the words of the dictionary.
        generator: Of the choices.
    """

    def replace(match: re.Match[str]) -> str:
        word = match[0]
        known = dictionary.get(word.lower())
        if not known or generator.random() >= rate:
            return word
        synonym = known[generator.randrange(len(known))]
        return synonym[:1].upper() + synonym[1:] if word[:1].isupper() else synonym

    return _WORD.sub(replace, text)


def mixed(first: str, second: str) -> str:
    """Return the sentences of two documents, three of each in turn; no line of a document is joined to the next."""
    runs = zip_longest(_runs(first), _runs(second), fillvalue="")
    return "\n".join(run for pair in runs for run in pair if run)


def _runs(text: str) -> list[str]:
    """Return three sentences at a time, as they are in the text."""
    pieces = [piece for line in text.split("\n") for piece in (*_SENTENCE_END.split(line), "\n")]
    runs = ("".join(pieces[at : at + 2 * _MIXED_RUN]).strip() for at in range(0, len(pieces), 2 * _MIXED_RUN))
    return [run for run in runs if run]
