"""Linear biases on distances instead of positions (ALiBi, Press et al. 2022).

The biases are a mask, so that attention isn't the causal flash kernel of other decoders: it is slower, and the mask
takes heads * length² numbers a batch, or as many a sample where documents or prefixes are told apart.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pretrain_trainer.models.attention import View


def slopes(heads: int) -> list[float]:
    """Return each head's slope: 2^(-8i/n) for i = 1 … n (Press et al. 2022, section 3).

    Where the heads aren't a power of two, n is the one below, and the rest take every other slope of 2n heads, as the
    authors' code has it.
    """
    power = 1 << (heads.bit_length() - 1)
    first = [2 ** (-8 * i / power) for i in range(1, power + 1)]
    return first + [2 ** (-4 * i / power) for i in range(1, 2 * (heads - power), 2)]


def distance_biases(heads: int, length: int, device: torch.device) -> Tensor:
    """Return -slope * |query - key|, FP32[1, heads, length, length]: by softmax the same as BLOOM's slope * key where
    only earlier keys are seen."""
    place = torch.arange(length, device=device)
    distance = (place - place[:, None]).abs()
    return -torch.tensor(slopes(heads), device=device)[None, :, None, None] * distance


def distance_view(seen: View, tokens: Tensor, heads: int, dtype: torch.dtype) -> View:
    """Return a decoder's view with the biases of the distance.

    Args:
        seen: What positions see, as `decoder_view` says.
        tokens: int64[batch, length], for length and device.
        heads: Attention heads.
        dtype: Type of the queries.
    """
    length, device = tokens.shape[1], tokens.device
    visible = seen.mask
    if visible is None:
        visible = torch.ones(length, length, dtype=torch.bool, device=device).tril()
    biases = distance_biases(heads, length, device).to(dtype)
    return View(mask=biases.masked_fill(~visible, torch.finfo(dtype).min))
