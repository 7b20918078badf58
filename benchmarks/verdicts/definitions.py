"""The filters in plain Python, with each definition as datatrove has it or as the product has it.

With all definitions datatrove's the verdicts have to be datatrove's, with none of them the product's. What lies between
tells which definition a difference comes from.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from functools import lru_cache

import numpy as np
from datatrove.utils.text import PUNCTUATION_SET, TERMINAL_PUNCTUATION, split_into_sentences, split_into_words

from benchmarks.verdicts.words import has_letter, is_single, symbols_of_text, words_of_text
from pretrain_dataprep.kernels.sentences import sentences
from pretrain_dataprep.text.measure import STOP_WORDS
from pretrain_dataprep.text.phrases import POLICIES
from pretrain_dataprep.text.sentences import TERMINAL_PUNCTUATION as OUR_TERMINALS

_TOP = {2: 0.20, 3: 0.18, 4: 0.16}
_REPEATED = {5: 0.15, 6: 0.14, 7: 0.13, 8: 0.12, 9: 0.11, 10: 0.10}

Ours = AbstractSet[str]
"""The definitions that are the product's; the others are datatrove's."""

CAUSES = {
    "words": "words: runs of letters and digits, where datatrove takes spaCy's tokens, with punctuation among them",
    "per-word": "# and ellipses are divided by words, where datatrove divides by all tokens",
    "symbols": "words with a letter are divided by words and runs of symbols, where datatrove divides by all tokens",
    "lengths": "word length leaves out words of scripts without spaces",
    "case": "words are compared in lower case",
    "lines": "empty lines don't count as lines",
    "bullets": "‣ ● ▪ * are bullets too",
    "indentation": "lines and paragraphs are compared without the spaces before them",
    "once": "an n-gram that occurs once isn't repeated, however much of a short text it is",
    "boundaries": "n-grams are words in a row, where datatrove joins them without a space between",
    "sentences": "sentences end by a rule over characters, where datatrove takes spaCy's sentencizer",
    "marks": "terminal punctuation is Unicode's Sentence_Terminal, where datatrove has a list of its own",
}
"""Definitions in which the two differ, as the documents say it."""

BY_FILTER: dict[str, tuple[str, ...]] = {
    "gopher-quality": ("words", "per-word", "symbols", "case", "lines", "bullets", "lengths"),
    "gopher-repetition": ("words", "case", "indentation", "once", "boundaries"),
    "c4": ("sentences",),
    "fineweb": ("words", "marks", "indentation"),
}


@lru_cache(4)
def _tokens(text: str, ours: bool) -> tuple[list[str], list[str]]:
    """Return (words, words and symbols) of a text."""
    if not ours:
        tokens: list[str] = split_into_words(text)
        return [token for token in tokens if any(character not in PUNCTUATION_SET for character in token)], tokens
    words = words_of_text(text)
    return words, [*words, *["#"] * symbols_of_text(text)]


def keeps_gopher_quality(text: str, ours: Ours) -> bool:
    """Rae et al. 2021, A1.1: quality."""
    words, tokens = _tokens(text, "words" in ours)
    if not 50 <= len(words) <= 100_000:
        return False
    lengths = [len(word) for word in words if not ("lengths" in ours and is_single(word))]
    if lengths and not 3 <= np.mean(lengths) <= 10:
        return False
    divisor = len(words) if "per-word" in ours else len(_tokens(text, False)[1])
    if max(text.count("#"), text.count("...") + text.count("…")) / divisor > 0.1:
        return False
    lines = [line for line in text.splitlines() if line.strip() or "lines" not in ours]
    bullets = ("•", "‣", "●", "▪", "*", "-") if "bullets" in ours else ("•", "-")
    if sum(line.lstrip().startswith(bullets) for line in lines) / len(lines) > 0.9:
        return False
    if sum(line.rstrip().endswith(("...", "…")) for line in lines) / len(lines) > 0.3:
        return False
    return _has_letters(words, tokens, text, ours) and _has_stop_words(words, ours)


def _has_letters(words: list[str], tokens: list[str], text: str, ours: Ours) -> bool:
    if "words" in ours:
        alphabetic = sum(map(has_letter, words))
    else:
        alphabetic = sum(any(character.isalpha() for character in token) for token in tokens)
    if "symbols" in ours:
        return alphabetic / (len(words) + symbols_of_text(text)) >= 0.8
    return alphabetic / len(_tokens(text, False)[1]) >= 0.8


def _has_stop_words(words: list[str], ours: Ours) -> bool:
    seen = {word.lower() if "case" in ours else word for word in words}
    return len(seen & set(STOP_WORDS)) >= 2


def _duplicates(pieces: list[str]) -> tuple[int, int]:
    """Return (pieces, characters) that occurred before."""
    seen: set[str] = set()
    count = characters = 0
    for piece in pieces:
        if piece in seen:
            count += 1
            characters += len(piece)
        seen.add(piece)
    return count, characters


def keeps_gopher_repetition(text: str, ours: Ours) -> bool:
    """Rae et al. 2021, table A1."""
    for separator in ("\n{2,}", "\n+"):
        pieces = re.split(separator, text)
        if "indentation" in ours:
            pieces = [piece.lstrip(" \t\n") for piece in pieces]
        count, characters = _duplicates(pieces)
        if count / len(pieces) > 0.3 or characters / len(text) > 0.2:
            return False
    words = _tokens(text, "words" in ours)["words" not in ours]
    if "case" in ours:
        words = [word.lower() for word in words]
    return all(_top(words, n, "once" in ours) / len(text) <= limit for n, limit in _TOP.items()) and all(
        _repeated(words, n, "boundaries" in ours) / len(text) <= limit for n, limit in _REPEATED.items()
    )


def _top(words: list[str], n: int, twice: bool) -> int:
    grams = Counter(" ".join(words[index : index + n]) for index in range(len(words) - n + 1))
    if not grams:
        return 0
    ((gram, count),) = grams.most_common(1)
    return 0 if twice and count < 2 else len(gram) * count


def _repeated(words: list[str], n: int, apart: bool) -> int:
    seen: set[object] = set()
    characters = index = 0
    while index <= len(words) - n:
        gram = words[index : index + n]
        key = tuple(gram) if apart else "".join(gram)
        if key in seen:
            characters += sum(map(len, gram))
            index += n
        else:
            seen.add(key)
            index += 1
    return characters


def keeps_c4(text: str, ours: Ours) -> bool:
    """Raffel et al. 2020, 2.2, with the order of the published code."""
    total = 0
    for whole in text.splitlines():
        words = whole.split()
        line = re.sub(r"\[\d*]|\[edit]|\[citation needed]", "", whole.strip())
        if any(len(word) > 1000 for word in words) or len(words) < 5:
            continue
        if not line.endswith((".", "?", "!", '"', "'")) or line.endswith("..."):
            continue
        lower = line.lower()
        if "lorem ipsum" in lower:
            return False
        if "javascript" in lower:
            continue
        if "{" in line:
            return False
        if not any(policy in lower for policy in POLICIES):
            total += _sentences(line, ours)
    return total >= 3


def _sentences(line: str, ours: Ours) -> int:
    if "sentences" in ours:
        return int(sentences(np.frombuffer(line.encode(), np.uint8)))
    return len(split_into_sentences(line))


def keeps_fineweb(text: str, ours: Ours) -> bool:
    """Penedo et al. 2024, 3.6, and the published pipeline's line feeds a word."""
    lines = [line for line in text.split("\n") if line.strip()]
    marks = tuple(map(chr, OUR_TERMINALS)) if "marks" in ours else tuple(TERMINAL_PUNCTUATION)
    if not lines or sum(line.endswith(marks) for line in lines) / len(lines) < 0.12:
        return False
    if sum(len(line) <= 30 for line in lines) / len(lines) > 0.67:
        return False
    compared = [line.lstrip(" \t") for line in lines] if "indentation" in ours else lines
    if _duplicates(compared)[1] / len(text.replace("\n", "")) > 0.1:
        return False
    return text.count("\n") / max(1, len(_tokens(text, "words" in ours)["words" not in ours])) <= 0.3


KEEPS: dict[str, Callable[[str, Ours], bool]] = {
    "gopher-quality": keeps_gopher_quality,
    "gopher-repetition": keeps_gopher_repetition,
    "c4": keeps_c4,
    "fineweb": keeps_fineweb,
}
