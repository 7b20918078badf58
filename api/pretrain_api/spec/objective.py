"""`spec.objective`: what the network learns to predict."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from pretrain_api.spec.base import Boolean, Fraction, NonNegativeNumber, PositiveNumber, SpecModel

SingleObjective = Literal[
    "causal-lm",
    "prefix-lm",
    "fill-in-the-middle",
    "span-corruption",
    "denoising",
    "mixture-of-denoisers",
    "masked-lm",
]
Noise = Literal["masking", "infilling", "deletion", "permutation"]
MeanSpanLength = Annotated[float, Field(strict=True, ge=1, le=1000)]


class Denoiser(SpecModel):
    """One of the denoisers of a mixture (UL2: Tay et al. 2022, section 3.1)."""

    mode: Literal["R", "S", "X"] = Field(examples=["R"])
    """Mode token in front of the input: R regular, S sequential (the rest of the text), X extreme denoising."""
    rate: Annotated[float, Field(strict=True, gt=0, lt=1)] = 0.15
    """Share of the tokens to predict; of S on average."""
    mean_span_length: MeanSpanLength | None = None
    """Mean length of the spans; default 3. S has one span, at the end."""
    weight: PositiveNumber = 1.0
    """Share of the samples, relative to the other denoisers."""


class ObjectiveSettings(SpecModel):
    """What holds for objectives alone and in a mixture. Defaults are those of the papers."""

    rate: Fraction | None = None
    """Share of the documents (fill-in-the-middle: 0.5) or of the tokens (span-corruption and masked-lm: 0.15;
    denoising: 0.3) it applies to."""
    mean_span_length: MeanSpanLength | None = None
    """Mean length of a span in tokens; default 3, of maskUnit span 3.8."""
    spm_rate: Fraction | None = None
    """Share of fill-in-the-middle in the order suffix-prefix-middle; the rest is prefix-suffix-middle (Bavarian et al.
    2022, section 4.3: 0.5)."""
    noise: Annotated[tuple[Noise, ...], Field(max_length=4)] | None = None
    """What denoising does to the text (Lewis et al. 2020, section 2.2); default: infilling and permutation of
    sentences."""
    denoisers: Annotated[tuple[Denoiser, ...], Field(max_length=32)] = ()
    """Denoisers of mixture-of-denoisers; default: R with spans of 3 and 5 at 0.15, S at 0.25, X with spans of 3, 8 and
    64 at 0.5 and of 64 at 0.15, all with equal weights."""
    mask_unit: Literal["token", "word", "span"] | None = None
    """What masked-lm masks: single tokens, whole words, or spans of words (Joshi et al. 2020); default token."""
    sentence_pairs: Literal["nsp", "sop"] | None = None
    """Sentence-pair task joined with masked-lm: next sentence (Devlin et al. 2019) or sentence order (Lan et al.
    2020)."""


class ObjectivePart(ObjectiveSettings):
    """An objective of a mixture."""

    type: SingleObjective = Field(examples=["causal-lm"])
    """Kind of objective."""
    weight: PositiveNumber = 1.0
    """Share of the samples, relative to the other objectives."""


class Objective(ObjectiveSettings):
    """What the network learns to predict."""

    type: Literal[
        "causal-lm",
        "prefix-lm",
        "fill-in-the-middle",
        "span-corruption",
        "denoising",
        "mixture-of-denoisers",
        "masked-lm",
        "mixture",
    ] = "causal-lm"
    """Kind of objective; mixture: several, see mixture."""
    mixture: Annotated[tuple[ObjectivePart, ...], Field(max_length=16)] = ()
    """Objectives that take turns by their weights, with type: mixture. A sample's objective depends on the seed and its
    place in the run alone."""
    document_masking: Boolean = False
    """Attention and positions of packed documents stay within each document (decoders with causal-lm and
    fill-in-the-middle)."""

    z_loss: NonNegativeNumber = 0.0
    """Weight of the squared logarithm of the softmax's normaliser, which is added to the loss in training and keeps the
    logits small (Chowdhery et al. 2022, section 5: 1e-4)."""
    future_tokens: Annotated[int, Field(strict=True, ge=0, le=16)] = 0
    """Tokens after the next one that are predicted, too: multi-token prediction (Gloeckle et al. 2024). Each takes a
    layer of its own in training, which isn't exported (decoders with causal-lm and fill-in-the-middle)."""
    future_weight: PositiveNumber = 0.3
    """Weight of the mean loss of these tokens (DeepSeek-V3 2024, section 4.2)."""

    @property
    def parts(self) -> tuple[ObjectivePart, ...]:
        """The objectives that take turns: one, or those of the mixture."""
        if self.type == "mixture":
            return self.mixture
        fields = {name: getattr(self, name) for name in ObjectiveSettings.model_fields}
        return (ObjectivePart.model_validate({"type": self.type, **fields}),)
