"""Which special tokens a tokenizer that is trained for a job reserves, beside those that pad, begin and end."""

from __future__ import annotations

from pretrain_api.names import (
    CLASSIFICATION_TOKEN,
    FIM_MIDDLE_TOKEN,
    FIM_PAD_TOKEN,
    FIM_PREFIX_TOKEN,
    FIM_SUFFIX_TOKEN,
    MASK_TOKEN,
    MODE_TOKENS,
    SEPARATOR_TOKEN,
    sentinel_token,
)
from pretrain_api.objectives import kind_of_family, reserved_tokens
from pretrain_api.presets import PRESETS
from pretrain_api.spec.job import PretrainJobSpec

MAX_SENTINELS = 256
PIECES_A_SENTINEL = 128
USUAL_SEQUENCE_LENGTH = 2048
WORDPIECE_TOKENS = (CLASSIFICATION_TOKEN, SEPARATOR_TOKEN, MASK_TOKEN)
"""Beside [PAD] and [UNK], of every WordPiece vocabulary (Devlin et al. 2019)."""


def every_reserved_token(vocab_size: int) -> tuple[str, ...]:
    """Return the tokens of all objectives; one sentinel for 128 pieces, at most 256."""
    fill_in = (FIM_PREFIX_TOKEN, FIM_MIDDLE_TOKEN, FIM_SUFFIX_TOKEN, FIM_PAD_TOKEN)
    sentinels = map(sentinel_token, range(min(MAX_SENTINELS, vocab_size // PIECES_A_SENTINEL)))
    return (CLASSIFICATION_TOKEN, SEPARATOR_TOKEN, MASK_TOKEN, *fill_in, *MODE_TOKENS.values(), *sentinels)


def tokens_to_reserve(spec: PretrainJobSpec) -> tuple[str, ...]:
    """Return the texts of the tokens that the job's own tokenizer reserves, in the order of their ids."""
    train = spec.data.tokenizer.train
    if train is None:
        return ()
    always = WORDPIECE_TOKENS if train.algorithm == "huggingface-wordpiece" else ()
    wants_all = train.reserve == "all" or (train.reserve == "auto" and spec.training is None)
    every = every_reserved_token(train.vocab_size) if wants_all else ()
    return tuple(dict.fromkeys([*always, *every, *_needed(spec)]))


def _needed(spec: PretrainJobSpec) -> tuple[str, ...]:
    """Return what the job's own objective needs; where nothing is trained, with sentinels for a decoder's sequences."""
    if spec.training is None or spec.model is None:
        return reserved_tokens(spec.objective, "decoder", USUAL_SEQUENCE_LENGTH)
    preset = PRESETS.get(spec.model.preset) if spec.model.preset is not None else None
    family = spec.model.family or (preset.family if preset is not None else None)
    return reserved_tokens(spec.objective, kind_of_family(family), spec.training.sequence_length)
