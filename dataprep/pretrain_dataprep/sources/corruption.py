"""Ways in which whole shards of real corpora go bad while every document still looks like a document.

Each kind keeps lengths, word boundaries, digits, punctuation and line breaks, so rule filters that count them judge a
damaged document as they judge the sound one; a language model meets text that it has never seen.
"""

from __future__ import annotations

import random
import re
import string
from collections.abc import Callable
from enum import StrEnum


class Corruption(StrEnum):
    """What went wrong with the text."""

    WRONG_CODEC = "wrong-codec"
    """Read with the wrong code page: Latin letters come out as Cyrillic ones (GOST 13052, "KOI-7", in its shifted
    state: the same seven bits, other letters). The most harmful: tokens that training has pushed to near-zero
    probability."""
    SHIFTED_LETTERS = "shifted-letters"
    """Every letter replaced by another one, the same throughout: encrypted blocks, or a font's private encoding
    copied out of a PDF."""
    SHUFFLED_LETTERS = "shuffled-letters"
    """The letters within each word in random order: scrambled text layers, swapped bytes."""


_WORD = re.compile(r"[^\W\d_]{2,}")
# KOI8-R is KOI-7 with the eighth bit as the shift state: dropping that bit from its Cyrillic letters gives Latin ones.
_KOI7_SHIFTED = {code: bytes([code | 0x80]).decode("koi8-r") for code in map(ord, string.ascii_letters)}


def corrupter(kind: Corruption, seed: int) -> Callable[[str, str], str]:
    """Return a function (document id, text) -> damaged text; a pure function of its arguments and `seed`."""
    if kind is Corruption.WRONG_CODEC:
        return lambda _, text: text.translate(_KOI7_SHIFTED)
    if kind is Corruption.SHIFTED_LETTERS:
        table = _letter_table(seed)
        return lambda _, text: text.translate(table)
    return lambda identifier, text: _shuffle_words(text, random.Random(f"{seed}:{identifier}"))  # noqa: S311 (no secret)


def _letter_table(seed: int) -> dict[int, str]:
    """Return a permutation of the alphabet without a fixed letter (one cycle through all 26), case kept."""
    order = list(string.ascii_lowercase)
    random.Random(seed).shuffle(order)  # noqa: S311 (no secret)
    successors = dict(zip(order, order[1:] + order[:1], strict=True))
    lower = {ord(letter): other for letter, other in successors.items()}
    return lower | {ord(letter.upper()): other.upper() for letter, other in successors.items()}


def _shuffle_words(text: str, generator: random.Random) -> str:
    def shuffled(match: re.Match[str]) -> str:
        letters = list(match.group())
        generator.shuffle(letters)
        return "".join(letters)

    return _WORD.sub(shuffled, text)
