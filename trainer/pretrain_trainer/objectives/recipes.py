"""Recipes: how the rows of a batch are filled, one for each type of objective."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pretrain_api.names import (
    CLASSIFICATION_TOKEN,
    FIM_MIDDLE_TOKEN,
    FIM_PREFIX_TOKEN,
    FIM_SUFFIX_TOKEN,
    MASK_TOKEN,
    MODE_TOKENS,
    SEPARATOR_TOKEN,
    sentinel_token,
)
from pretrain_api.objectives import (
    DEFAULT_MEAN_MASKED_SPAN,
    DEFAULT_MEAN_SPAN_LENGTH,
    DEFAULT_NOISE,
    DEFAULT_SPM_RATE,
    ModelKind,
    denoisers_of,
    num_sentinels,
    rate_of,
)
from pretrain_api.spec.objective import ObjectivePart
from pretrain_trainer.data.dataset import IGNORED_TARGET
from pretrain_trainer.errors import InvalidConfiguration
from pretrain_trainer.objectives.batch import Batch, Int64Array
from pretrain_trainer.objectives.vocabulary import Vocabulary


@dataclass(frozen=True)
class Windows:
    """What the rows of a batch are made from.

    Attributes:
        rows: int64[batch, window + 1], text; the last token is a label only.
        lengths: int64[batch], how many of them there are.
        partners: int64[batch, window + 1], text of other documents; only next-sentence prediction needs it.
        keys: uint64[batch], keys of the samples' randomness.
    """

    rows: Int64Array
    lengths: Int64Array
    partners: Int64Array
    keys: NDArray[np.uint64]


Recipe = Callable[[Windows, Int64Array, Batch], None]
"""Fills the rows of a batch whose numbers are given, int64[n]."""


def make_recipe(part: ObjectivePart, kind: ModelKind, sequence_length: int, vocabulary: Vocabulary) -> Recipe:
    """Return the recipe of one objective.

    Raises:
        InvalidConfiguration: The tokenizer lacks what it needs.
    """
    if part.type == "causal-lm":
        return _causal(vocabulary)
    if part.type == "prefix-lm":
        return _prefix(kind, vocabulary)
    if part.type == "fill-in-the-middle":
        return _middle(part, vocabulary)
    if part.type == "denoising":
        return _noise(part, vocabulary)
    if part.type == "masked-lm":
        return _masking(part, vocabulary)
    return _spans(part, kind, sequence_length, vocabulary)


def _causal(vocabulary: Vocabulary) -> Recipe:
    def fill(windows: Windows, which: Int64Array, batch: Batch) -> None:
        rows, width = windows.rows, windows.rows.shape[1] - 1
        chosen = slice(None) if which.size == rows.shape[0] else which
        batch["input_ids"][chosen, :width] = rows[chosen, :-1]
        batch["labels"][chosen, :width] = rows[chosen, 1:]
        for row in which[windows.lengths[which] <= width]:
            last = max(0, int(windows.lengths[row]) - 1)
            batch["input_ids"][row, last:] = vocabulary.pad
            batch["labels"][row, last:] = IGNORED_TARGET

    return fill


def _prefix(kind: ModelKind, vocabulary: Vocabulary) -> Recipe:
    from pretrain_trainer.objectives.kernels.text import prefix_for_decoder, prefix_for_encoder_decoder

    def for_decoder(windows: Windows, which: Int64Array, batch: Batch) -> None:
        prefix_for_decoder(
            windows.rows,
            windows.lengths,
            which,
            windows.keys,
            batch["input_ids"],
            batch["labels"],
            batch["prefix_lengths"],
        )

    def for_encoder_decoder(windows: Windows, which: Int64Array, batch: Batch) -> None:
        texts = np.minimum(windows.lengths, windows.rows.shape[1] - 1)
        prefix_for_encoder_decoder(windows.rows, texts, which, windows.keys, vocabulary.end, *_sequences(batch))

    return for_decoder if kind == "decoder" else for_encoder_decoder


def _sequences(batch: Batch) -> tuple[Int64Array, Int64Array, Int64Array]:
    return batch["input_ids"], batch["attention_mask"], batch["labels"]


def _middle(part: ObjectivePart, vocabulary: Vocabulary) -> Recipe:
    from pretrain_trainer.objectives.kernels.text import fill_in_the_middle

    marks = vocabulary.ids((FIM_PREFIX_TOKEN, FIM_SUFFIX_TOKEN, FIM_MIDDLE_TOKEN))
    spm_rate = DEFAULT_SPM_RATE if part.spm_rate is None else part.spm_rate

    def fill(windows: Windows, which: Int64Array, batch: Batch) -> None:
        fill_in_the_middle(
            windows.rows,
            windows.lengths,
            which,
            windows.keys,
            rate_of(part),
            spm_rate,
            marks,
            vocabulary.end,
            batch["input_ids"],
            batch["labels"],
        )

    return fill


def _spans(part: ObjectivePart, kind: ModelKind, sequence_length: int, vocabulary: Vocabulary) -> Recipe:
    from pretrain_trainer.objectives.kernels.spans import corrupt_for_decoder, corrupt_for_encoder_decoder

    denoisers = denoisers_of(part)
    with_modes = part.type == "mixture-of-denoisers"
    weights = np.cumsum([denoiser.weight for denoiser in denoisers])
    settings: tuple[NDArray[Any] | int, ...] = (
        weights / weights[-1],
        vocabulary.ids([MODE_TOKENS[d.mode] for d in denoisers]) if with_modes else np.full(1, -1),
        np.array([denoiser.rate for denoiser in denoisers]),
        np.array([denoiser.mean_span_length or DEFAULT_MEAN_SPAN_LENGTH for denoiser in denoisers]),
        np.array([denoiser.mode == "S" for denoiser in denoisers]),
        vocabulary.ids([sentinel_token(i) for i in range(num_sentinels(part, kind, sequence_length))]),
        vocabulary.end,
    )

    def fill(windows: Windows, which: Int64Array, batch: Batch) -> None:
        texts = np.minimum(windows.lengths, windows.rows.shape[1] - 1)
        common = (windows.rows, texts, which, windows.keys, *settings)
        if kind == "decoder":
            corrupt_for_decoder(*common, batch["input_ids"], batch["labels"], batch["prefix_lengths"])
        else:
            corrupt_for_encoder_decoder(*common, *_sequences(batch))

    return fill


def _noise(part: ObjectivePart, vocabulary: Vocabulary) -> Recipe:
    from pretrain_trainer.objectives.kernels.noise import corrupt_text

    kinds = DEFAULT_NOISE if part.noise is None else part.noise
    of_tokens = [kind for kind in kinds if kind != "permutation"]
    share = rate_of(part) / max(1, len(of_tokens))
    permute = "permutation" in kinds
    mean = part.mean_span_length or DEFAULT_MEAN_SPAN_LENGTH
    mask = int(vocabulary.ids([MASK_TOKEN])[0])
    ends = _known(vocabulary.sentence_ends, "permutation of sentences") if permute else vocabulary.special

    def fill(windows: Windows, which: Int64Array, batch: Batch) -> None:
        texts = np.minimum(windows.lengths, windows.rows.shape[1] - 1)
        rates = (share if kind in kinds else 0.0 for kind in ("infilling", "masking", "deletion"))
        common = (windows.rows, texts, which, windows.keys)
        corrupt_text(*common, permute, *rates, mean, mask, vocabulary.end, ends, *_sequences(batch))

    return fill


def _known(flags: NDArray[np.bool_] | None, what: str) -> NDArray[np.bool_]:
    if flags is None:
        raise InvalidConfiguration(
            f"spec.objective: {what} needs the tokenizer's pieces, and it has none that can be read; "
            "name a tokenizer (spec.data.tokenizer.uri), or another objective"
        )
    return flags


def _masking(part: ObjectivePart, vocabulary: Vocabulary) -> Recipe:
    from pretrain_trainer.objectives.kernels.masking import mask_tokens

    unit = ("token", "word", "span").index(part.mask_unit or "token")
    pairs = (None, "nsp", "sop").index(part.sentence_pairs)
    spans = span_distribution(part.mean_span_length or DEFAULT_MEAN_MASKED_SPAN)
    marks = vocabulary.ids((CLASSIFICATION_TOKEN, SEPARATOR_TOKEN, MASK_TOKEN))
    starts = _known(vocabulary.word_starts, "masking of words") if unit else vocabulary.special
    ends = vocabulary.special if vocabulary.sentence_ends is None else vocabulary.sentence_ends

    def fill(windows: Windows, which: Int64Array, batch: Batch) -> None:
        texts = np.minimum(windows.lengths, windows.rows.shape[1] - 1)
        mask_tokens(
            windows.rows,
            windows.partners,
            texts,
            which,
            windows.keys,
            rate_of(part),
            unit,
            spans,
            pairs,
            marks,
            vocabulary.end,
            vocabulary.special,
            starts,
            ends,
            batch["input_ids"],
            batch["attention_mask"],
            batch["token_type_ids"],
            batch["labels"],
            batch["sentence_labels"],
        )

    return fill


def span_distribution(mean: float) -> NDArray[np.float64]:
    """Return the cumulative distribution of a span's length from 1 on: geometric, cut off at 10 for the default mean of
    3.8 (p = 0.2: Joshi et al. 2020, section 3.1), later for greater ones.

    Args:
        mean: Mean length, at least 1.
    """
    longest = 10 if mean <= 4 else math.ceil(3 * mean)
    lengths = np.arange(1, longest + 1)
    low, high = 1e-9, 1.0 - 1e-12
    for _ in range(80):  # the mean falls as p rises
        p = (low + high) / 2
        shares = (1 - p) ** (lengths - 1)
        low, high = (p, high) if (shares * lengths).sum() / shares.sum() > mean else (low, p)
    cumulative = np.cumsum((1 - high) ** (lengths - 1))
    result: NDArray[np.float64] = cumulative / cumulative[-1]
    return result
