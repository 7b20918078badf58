"""What all attention layers share: what may be seen, rotary positions, the attention itself."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class View:
    """Which positions see which.

    Attributes:
        causal: Each sees itself and what comes before it.
        mask: Instead: true where a query sees a key, or a number to add to each score; it broadcasts to
            [batch, heads, queries, keys]. None: all see all, or what `causal` says.
    """

    causal: bool = False
    mask: Tensor | None = None


EVERYTHING = View()
CAUSAL = View(causal=True)


def decoder_view(tokens: Tensor, prefix_lengths: Tensor | None = None, document_ids: Tensor | None = None) -> View:
    """Return what the positions of a decoder see; without prefixes and documents this makes no mask.

    Args:
        tokens: int64[batch, length].
        prefix_lengths: int64[batch], positions that all see.
        document_ids: int64[batch, length]; positions see those with the same number.
    """
    if prefix_lengths is None and document_ids is None:
        return CAUSAL
    place = torch.arange(tokens.shape[1], device=tokens.device)
    mask = (place <= place[:, None])[None]
    if prefix_lengths is not None:
        mask = mask | (place < prefix_lengths[:, None])[:, None]
    if document_ids is not None:
        mask = mask & (document_ids[:, :, None] == document_ids[:, None])
    return View(mask=mask[:, None])


def padding_view(attention_mask: Tensor | None) -> View:
    """Return the view of what isn't padding, int64[batch, length] of 0 and 1.

    The first position is seen in any case: there's no attention to nothing, and rows without text have no targets.
    """
    if attention_mask is None:
        return EVERYTHING
    mask = attention_mask.bool()
    mask[:, 0] = True
    return View(mask=mask[:, None, None])


class RotaryEmbedding:
    """Rotary position embedding (Su et al. 2021) in Hugging Face's layout: halves are rotated, not pairs.

    The table isn't a buffer of the module: engines cast buffers to BF16, and positions don't survive that.
    """

    def __init__(self, head_size: int, theta: float) -> None:
        self.head_size = head_size
        self.theta = theta
        self._table: tuple[Tensor, Tensor] | None = None

    def table(self, like: Tensor, positions: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return cosines and signed sines with the type and device of `like`.

        Args:
            like: [batch, length, …]
            positions: int64[batch, length], below `length`; default: 0, 1, 2, …

        Returns:
            Two arrays of [length, head_size], or of [batch, 1, length, head_size] where positions are given.
        """
        length = like.shape[1]
        if self._table is None or self._table[0].shape[0] < length or self._table[0].device != like.device:
            self._table = self._compute(length, like.device)
        cosine, sine = self._table
        if positions is None:
            return cosine[:length].to(like.dtype), sine[:length].to(like.dtype)
        return cosine[positions][:, None].to(like.dtype), sine[positions][:, None].to(like.dtype)

    def _compute(self, length: int, device: torch.device) -> tuple[Tensor, Tensor]:
        exponent = torch.arange(0, self.head_size, 2, dtype=torch.int64, device=device).float() / self.head_size
        angle = torch.outer(torch.arange(length, device=device).float(), 1.0 / self.theta**exponent)
        return torch.cat((angle.cos(), angle.cos()), -1), torch.cat((-angle.sin(), angle.sin()), -1)


def rotate(heads: Tensor, table: tuple[Tensor, Tensor]) -> Tensor:
    """Return `heads` [..., heads, length, head_size] turned by their positions' angles: of each as many elements, from
    the first one, as the table has; the rest stays (Black et al. 2022, section 2.1)."""
    cosine, signed_sine = table
    size = cosine.shape[-1]
    turned, rest = heads[..., :size], heads[..., size:]
    turned = turned * cosine + turned.roll(size // 2, -1) * signed_sine
    if not rest.shape[-1]:
        return turned
    # In memory a position's heads stay beside each other: attention's output follows, and needn't be copied.
    return torch.cat((turned.transpose(-3, -2), rest.transpose(-3, -2)), -1).transpose(-3, -2)


def halves_of_pairs(heads: Tensor) -> Tensor:
    """Return `heads` [..., head_size] whose pairs stand beside each other, as the authors of RoPE have them, with the
    first elements of all pairs in front: `rotate` turns these. Scores are the same in any order."""
    return torch.cat((heads[..., 0::2], heads[..., 1::2]), -1)


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    head_size: int,
    view: View,
    table: tuple[Tensor, Tensor] | None = None,
    scale: float | None = None,
    dropout: float = 0.0,
) -> Tensor:
    """Return the values that each query's heads mix: [batch, queries, heads * head_size].

    Several query heads share a key-value head where there are fewer of these (Ainslie et al. 2023).

    Args:
        query: [batch, queries, heads * head_size], or parted in heads already: [batch, queries, heads, head_size].
        key: [batch, keys, key_value_heads * head_size].
        value: Of the same shape.
        head_size: Elements of a head.
        view: Which queries see which keys.
        table: Turn queries and keys by these angles.
        scale: Factor on the scores; default 1 / sqrt(head_size).
        dropout: Share of the attention weights that is left out.
    """
    query, key, value = (heads.view(*heads.shape[:2], -1, head_size).transpose(1, 2) for heads in (query, key, value))
    if table is not None:
        query, key = rotate(query, table), rotate(key, table)
    return mix(query, key, value, view, scale, dropout)


def mix(
    query: Tensor, key: Tensor, value: Tensor, view: View, scale: float | None = None, dropout: float = 0.0
) -> Tensor:
    """Return the values that each query's heads mix: [batch, queries, heads * value_size].

    Args:
        query: [batch, heads, queries, head_size].
        key: [batch, key_value_heads, keys, head_size].
        value: [batch, key_value_heads, keys, value_size].
        view: Which queries see which keys.
        scale: Factor on the scores; default 1 / sqrt(head_size).
        dropout: Share of the attention weights that is left out.
    """
    mixed = functional.scaled_dot_product_attention(
        query,
        key,
        value,
        attn_mask=view.mask,
        is_causal=view.causal,
        dropout_p=dropout,
        scale=scale,
        enable_gqa=query.shape[1] != key.shape[1],
    )
    return mixed.transpose(1, 2).flatten(2)
