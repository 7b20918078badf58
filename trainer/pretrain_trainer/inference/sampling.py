"""Drawing the next token."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class SamplingSettings:
    """How tokens are drawn."""

    temperature: float = 0.8
    """Divides the logits; 0 takes the likeliest token."""
    top_k: int = 0
    """Only the likeliest so many (Fan et al. 2018); 0: all."""
    top_p: float = 1.0
    """Only the likeliest ones that together have this probability (Holtzman et al. 2020); 1: all."""
    max_tokens: int = 100
    seed: int = 0


def keep_likeliest(logits: Tensor, settings: SamplingSettings) -> Tensor:
    """Return logits [vocabulary] with minus infinity for what may not be drawn: by temperature, top-k, then top-p.

    The likeliest token always stays.
    """
    logits = logits.float() / settings.temperature
    if 0 < settings.top_k < logits.numel():
        least = torch.topk(logits, settings.top_k).values[-1]
        logits = logits.masked_fill(logits < least, -torch.inf)
    if settings.top_p < 1:
        ordered, order = logits.sort(descending=True)
        probabilities = ordered.softmax(0)
        beyond = probabilities.cumsum(0) - probabilities >= settings.top_p
        beyond[0] = False
        logits = logits.index_fill(0, order[beyond], -torch.inf)
    return logits


def draw(logits: Tensor, settings: SamplingSettings, generator: torch.Generator) -> int:
    """Return a token; logits [vocabulary] on the CPU, so that the same seed draws the same everywhere."""
    if settings.temperature == 0:
        return int(logits.argmax())
    probabilities = keep_likeliest(logits, settings).softmax(0)
    return int(torch.multinomial(probabilities, 1, generator=generator))
