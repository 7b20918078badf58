"""The product's words (`pretrain_dataprep.text.words`), as strings: the definition, character by character."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from pretrain_dataprep.kernels.words import (
    ASCII_CLASSES,
    DIGIT,
    LETTER,
    SINGLE,
    SPACE,
    character_class,
    lower,
)

_classify: Any = character_class
_to_lower: Any = lower


@lru_cache(100_000)
def class_of(character: str) -> int:
    """Return the class of a character."""
    code = ord(character)
    return int(ASCII_CLASSES[code]) if code < 128 else int(_classify.py_func(code))


@lru_cache(100_000)
def _lower(character: str) -> str:
    return character.lower() if character.isascii() else chr(_to_lower.py_func(ord(character)))


def _joins(text: str, index: int) -> bool:
    """Is the apostrophe before `index` inside a word?"""
    if index >= len(text):
        return False
    code = ord(text[index])
    return ASCII_CLASSES[code] == LETTER if code < 128 else 0xC0 <= code < 0x800


def words_of_text(text: str) -> list[str]:
    """Return the words of a text, in lower case."""
    words, word = [], ""
    for index, character in enumerate(text):
        what = class_of(character)
        if word and character in "'’" and _joins(text, index + 1):
            what, character = LETTER, "'"  # noqa: PLW2901 (both apostrophes are one)
        if what & (LETTER | DIGIT):
            word += _lower(character)
            continue
        if word:
            words.append(word)
            word = ""
        if what == SINGLE:
            words.append(_lower(character))
    return [*words, word] if word else words


def symbols_of_text(text: str) -> int:
    """Return the number of runs of characters between whitespace that have no word."""
    symbols, in_token, has_word = 0, False, False
    for character in text + " ":
        what = class_of(character)
        if what == SPACE:
            symbols += in_token and not has_word
            in_token = has_word = False
        else:
            in_token = True
            has_word = has_word or what != 0
    return symbols


def is_single(word: str) -> bool:
    """Is this a word of a script without spaces?"""
    return len(word) == 1 and class_of(word) == SINGLE


def has_letter(word: str) -> bool:
    """Has the word a letter?"""
    return any(class_of(character) & (LETTER | SINGLE) for character in word) or "'" in word
