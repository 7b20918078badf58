"""A small vocabulary, and windows of random text in it."""

from __future__ import annotations

from typing import Any

import numpy as np

from pretrain_api.names import MODE_TOKENS, sentinel_token
from pretrain_api.objectives import ModelKind
from pretrain_api.spec.objective import Objective
from pretrain_trainer.objectives.batch import Batch
from pretrain_trainer.objectives.builder import BatchBuilder
from pretrain_trainer.objectives.vocabulary import Vocabulary

SIZE, PAD, END, FIRST_WORD = 1000, 0, 3, 300
RESERVED = {
    name: 4 + number
    for number, name in enumerate(
        [
            "[MASK]",
            "[CLS]",
            "[SEP]",
            "<fim_prefix>",
            "<fim_middle>",
            "<fim_suffix>",
            "<fim_pad>",
            *MODE_TOKENS.values(),
            *(sentinel_token(index) for index in range(250)),
        ]
    )
}
SENTINELS = [RESERVED[sentinel_token(index)] for index in range(250)]


def vocabulary() -> Vocabulary:
    """Tokens from 300 on are text; those divisible by 3 begin a word, those divisible by 20 end a sentence."""
    tokens = np.arange(SIZE)
    special = tokens < FIRST_WORD
    return Vocabulary(SIZE, END, PAD, RESERVED, special, tokens % 3 == 0, (tokens % 20 == 0) & ~special)


def builder(kind: ModelKind, length: int = 128, seed: int = 7, **objective: Any) -> BatchBuilder:
    """Return a builder for an objective that is given as in YAML."""
    return BatchBuilder(Objective.model_validate(objective), kind, length, vocabulary(), seed)


def text(size: int, window: int, seed: int = 1, document: int = 0) -> np.ndarray:
    """Return int64[size, window + 1] of random words; where `document` is given, about each so many a document ends."""
    random = np.random.default_rng(seed)
    rows = random.integers(FIRST_WORD, SIZE, (size, window + 1))
    if document:
        rows[random.random(rows.shape) < 1 / document] = END
    return rows


def samples(
    made: BatchBuilder, size: int, seed: int = 1, document: int = 0, first: int = 0
) -> tuple[np.ndarray, Batch]:
    """Return random windows and what the builder makes of them."""
    rows = text(size, made.shape.window, seed, document)
    partners = text(size, made.shape.window, seed + 1000) if made.needs_partners else None
    return rows, made.build(np.arange(first, first + size), rows, partners=partners)
