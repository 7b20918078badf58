"""Arithmetic of objectives: how much text a sample takes, how wide it becomes, which special tokens it needs.

Shapes depend on the job alone, so that all batches of a run have the same ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

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
from pretrain_api.spec.objective import Denoiser, Objective, ObjectivePart

ModelKind = Literal["decoder", "encoder", "encoder-decoder"]

_KINDS_OF_FAMILY: dict[str, ModelKind] = {"bert": "encoder", "t5": "encoder-decoder"}


def kind_of_family(family: str | None) -> ModelKind:
    """Return what kind of network a family of `spec.model.family` is: a decoder but for a few."""
    return _KINDS_OF_FAMILY.get(family or "", "decoder")


KINDS_OF_OBJECTIVE: dict[str, tuple[ModelKind, ...]] = {
    "causal-lm": ("decoder",),
    "prefix-lm": ("decoder", "encoder-decoder"),
    "fill-in-the-middle": ("decoder",),
    "span-corruption": ("encoder-decoder", "decoder"),
    "denoising": ("encoder-decoder",),
    "mixture-of-denoisers": ("encoder-decoder", "decoder"),
    "masked-lm": ("encoder",),
}
"""Which networks can learn what. A decoder learns to denoise as a prefix language model: the corrupted text is its
prefix (UL2: Tay et al. 2022, section 3.2)."""

DEFAULT_RATES = {"fill-in-the-middle": 0.5, "span-corruption": 0.15, "masked-lm": 0.15, "denoising": 0.3}
"""Bavarian et al. 2022, section 4.1; Raffel et al. 2020, section 3.3.4; Devlin et al. 2019, section 3.1; Lewis et al.
2020, section 4."""
DEFAULT_MEAN_SPAN_LENGTH = 3.0
"""Of span corruption (Raffel et al. 2020, section 3.3.4) and infilling (Lewis et al. 2020, section 2.2)."""
DEFAULT_MEAN_MASKED_SPAN = 3.8
"""In words (Joshi et al. 2020, section 3.1)."""
DEFAULT_SPM_RATE = 0.5
DEFAULT_NOISE = ("infilling", "permutation")
"""Lewis et al. 2020, section 3: the combination that was best, with whose settings BART was trained."""
DEFAULT_DENOISERS = (
    Denoiser(mode="R", mean_span_length=3.0, rate=0.15),
    Denoiser(mode="R", mean_span_length=5.0, rate=0.15),
    Denoiser(mode="S", rate=0.25),
    Denoiser(mode="X", mean_span_length=3.0, rate=0.5),
    Denoiser(mode="X", mean_span_length=8.0, rate=0.5),
    Denoiser(mode="X", mean_span_length=64.0, rate=0.15),
    Denoiser(mode="X", mean_span_length=64.0, rate=0.5),
)
"""Tay et al. 2022, table 1, whose second R has spans of 8: section 3.1.1 says that R has spans of 2 to 5."""


def rate_of(part: ObjectivePart) -> float:
    """Return the share of documents or tokens the objective applies to."""
    return part.rate if part.rate is not None else DEFAULT_RATES.get(part.type, 1.0)


def denoisers_of(part: ObjectivePart) -> tuple[Denoiser, ...]:
    """Return the denoisers of span corruption (one, without a mode token) or of a mixture of denoisers."""
    if part.type == "mixture-of-denoisers":
        return part.denoisers or DEFAULT_DENOISERS
    return (Denoiser.model_construct(mode="R", rate=rate_of(part), mean_span_length=part.mean_span_length, weight=1.0),)


def noise_counts(num_tokens: int, denoiser: Denoiser) -> tuple[int, int]:
    """Return how many of `num_tokens` tokens are noise, and in how many spans (T5's random_spans_noise_mask).

    Of S they are the most there may be, in one span.
    """
    if denoiser.mode == "S":
        return max(1, min(num_tokens - 1, round(2 * denoiser.rate * num_tokens) - 1)), 1
    noise = min(max(round(num_tokens * denoiser.rate), 1), num_tokens - 1)
    spans = max(1, round(noise / (denoiser.mean_span_length or DEFAULT_MEAN_SPAN_LENGTH)))
    return noise, min(spans, noise, num_tokens - noise)


@dataclass(frozen=True)
class SampleShape:
    """What a sample is made of, and how wide it becomes.

    Attributes:
        window: Tokens of text a sample is made of.
        inputs: Width of `input_ids`.
        targets: Width of `labels`: `inputs` but for an encoder-decoder.
    """

    window: int
    inputs: int
    targets: int


def sample_shape(objective: Objective, kind: ModelKind, sequence_length: int) -> SampleShape:
    """Return the shape of all samples of a run; a mixture takes as much text as its most frugal objective.

    Raises:
        ValueError: `sequence_length` has no room for the special tokens.
    """
    window = min(_window(part, kind, sequence_length) for part in objective.parts)
    if window < 2:
        raise ValueError(f"sequences of {sequence_length} tokens are too short for this objective")
    targets = sequence_length
    if kind == "encoder-decoder":
        targets = max(_targets(part, window) for part in objective.parts)
    return SampleShape(window, sequence_length, targets)


def _window(part: ObjectivePart, kind: ModelKind, length: int) -> int:
    if part.type in ("span-corruption", "mixture-of-denoisers"):
        return min(_denoiser_window(part, denoiser, kind, length) for denoiser in denoisers_of(part))
    if part.type == "masked-lm":
        return length - (3 if part.sentence_pairs else 2)  # [CLS] text [SEP], [CLS] text [SEP] text [SEP]
    if part.type == "denoising":
        return length - 1  # the end token
    return length


def _denoiser_window(part: ObjectivePart, denoiser: Denoiser, kind: ModelKind, length: int) -> int:
    """Return the greatest number of tokens whose corrupted form fits (T5's compute_input_and_target_lengths)."""
    mode = 1 if part.type == "mixture-of-denoisers" else 0

    def width(num_tokens: int) -> int:
        noise, spans = noise_counts(num_tokens, denoiser)
        if kind == "decoder":  # inputs and targets in one sequence; the last target is no input
            return mode + num_tokens + 2 * spans
        kept = num_tokens - (1 if denoiser.mode == "S" else noise)
        return mode + kept + spans + 1  # the end token

    num_tokens = max(2, length - mode - 2)
    while num_tokens > 1 and width(num_tokens) > length:
        num_tokens -= 1
    while width(num_tokens + 1) <= length:
        num_tokens += 1
    return num_tokens


def _targets(part: ObjectivePart, window: int) -> int:
    if part.type in ("span-corruption", "mixture-of-denoisers"):
        return max(sum(noise_counts(window, denoiser)) for denoiser in denoisers_of(part)) + 1  # the end token
    return window + 1 if part.type == "denoising" else window  # prefix-lm: all but a token, and the end token


def num_sentinels(part: ObjectivePart, kind: ModelKind, sequence_length: int) -> int:
    """Return the greatest number of spans of a sample."""
    if part.type not in ("span-corruption", "mixture-of-denoisers"):
        return 0
    window = _window(part, kind, sequence_length)
    return max(noise_counts(window, denoiser)[1] for denoiser in denoisers_of(part))


def reserved_tokens(objective: Objective, kind: ModelKind, sequence_length: int) -> tuple[str, ...]:
    """Return the special tokens that the objective can't do without, besides those that mark the end and padding."""
    names = [name for part in objective.parts for name in _reserved(part)]
    sentinels = max((num_sentinels(part, kind, sequence_length) for part in objective.parts), default=0)
    return tuple(dict.fromkeys([*names, *map(sentinel_token, range(sentinels))]))


def _reserved(part: ObjectivePart) -> Sequence[str]:
    if part.type == "mixture-of-denoisers":
        return [token for mode, token in MODE_TOKENS.items() if any(d.mode == mode for d in denoisers_of(part))]
    by_type: dict[str, Sequence[str]] = {
        "fill-in-the-middle": (FIM_PREFIX_TOKEN, FIM_MIDDLE_TOKEN, FIM_SUFFIX_TOKEN),
        "masked-lm": (CLASSIFICATION_TOKEN, SEPARATOR_TOKEN, MASK_TOKEN),
        "denoising": (MASK_TOKEN,),
    }
    return by_type.get(part.type, ())
