"""Reads n-gram models in the ARPA format."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from pretrain_dataprep.errors import InputError
from pretrain_dataprep.filtering.ngram_model import NgramModel
from pretrain_dataprep.kernels.perplexity import BEGIN, END, write_keys
from pretrain_dataprep.text.words import words_of

_SPECIAL = {"<s>": BEGIN, "</s>": END}
_UNKNOWN = {"<unk>", "<UNK>"}
_SECTION_END = "-grams:"


def read_arpa(lines: Iterable[str], name: str) -> NgramModel:
    """Read a model. Entries with what isn't a word of `text.words`, such as punctuation, are left out.

    Raises:
        InputError: It isn't an ARPA file.
    """
    order, unknown = 0, None
    tokens: list[int] = []
    lengths: list[int] = []
    values: list[tuple[float, float]] = []
    known: dict[str, int | None] = {**_SPECIAL, **dict.fromkeys(_UNKNOWN)}
    for number, line in enumerate(lines, start=1):
        text = line.strip()
        if text.startswith("\\") and text.endswith(_SECTION_END):
            order = int(text[1 : -len(_SECTION_END)])
        elif text == "\\end\\":
            break
        elif order and text and not text.startswith("\\"):
            try:
                words, probability, back_off = _entry(text, order)
            except ValueError as error:
                raise InputError(
                    f"{name}:{number}: not an entry of an ARPA file ({error}); give an .arpa file"
                ) from error
            if words[0] in _UNKNOWN and order == 1:
                unknown = probability
                continue
            hashes = [_hash_of(word, known) for word in words]
            if None not in hashes:
                tokens += [value for value in hashes if value is not None]
                lengths.append(order)
                values.append((probability, back_off))
    if not values:
        raise InputError(f"{name}: no n-gram of words in it; give an .arpa file over words in lower case")
    keys = _keys(np.array(tokens, np.uint64), np.array(lengths, np.int64))
    # Without <unk> an unknown word is as improbable as the rarest known one.
    least = min(probability for probability, _ in values if probability > -90)
    return NgramModel.of(max(lengths), keys, np.array(values, np.float32), least if unknown is None else unknown)


def _entry(text: str, order: int) -> tuple[list[str], float, float]:
    parts = text.split()
    if len(parts) not in (order + 1, order + 2):
        raise ValueError(f"{len(parts)} fields")
    return parts[1 : order + 1], float(parts[0]), float(parts[order + 1]) if len(parts) == order + 2 else 0.0


def _hash_of(word: str, known: dict[str, int | None]) -> int | None:
    """Return the hash of a word; None: it isn't one."""
    if word not in known:
        hashes = words_of(word)[0]
        known[word] = int(hashes[0]) if len(hashes) == 1 else None
    return known[word]


def _keys(tokens: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    keys = np.empty(len(lengths), np.uint64)
    starts = np.cumsum(lengths) - lengths
    for length in np.unique(lengths):
        rows = np.flatnonzero(lengths == length)
        some = np.empty(len(rows), np.uint64)
        write_keys(tokens, starts[rows], int(length), some)
        keys[rows] = some
    return keys
