"""What the layers of a transformer are made of, each with the number of its parameters.

Sizes are elements, not bytes; H is the width of the residual stream.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Stack = Literal["decoder", "encoder"]


@dataclass(frozen=True)
class Attention:
    """Multi-head attention; A query heads and K key-value heads of size D: 2H(A + K)D parameters, and biases."""

    heads: int
    key_value_heads: int
    head_dim: int
    input_bias: bool = False
    """Biases of the query, key and value projections."""
    output_bias: bool = False

    @property
    def query_size(self) -> int:
        """Elements of the queries a token; the mixed values have as many."""
        return self.heads * self.head_dim

    @property
    def key_size(self) -> int:
        """Elements of the keys a token."""
        return self.key_value_heads * self.head_dim

    @property
    def projected_key_size(self) -> int:
        """Elements of the keys a token as the projections give them."""
        return self.key_size

    @property
    def value_size(self) -> int:
        """Elements of the values a token."""
        return self.key_value_heads * self.head_dim

    @property
    def mixed_size(self) -> int:
        """Elements a token that the output projection reads."""
        return self.query_size

    @property
    def latent_size(self) -> int:
        """Elements a token of compressed queries, keys and values; none here."""
        return 0

    @property
    def normalized_size(self) -> int:
        """Elements a token that are normalised inside the attention; none here."""
        return 0

    def parameters(self, hidden_size: int) -> int:
        """Return the number of parameters."""
        projected = self.query_size + self.key_size + self.value_size
        biases = projected * self.input_bias + hidden_size * self.output_bias
        return hidden_size * (projected + self.mixed_size) + biases


@dataclass(frozen=True)
class LatentAttention:
    """Multi-head latent attention (DeepSeek-V2 2024, section 2.1): keys and values, and mostly queries, too, pass
    through a narrow latent vector; a part of each key is rotary and shared by all heads."""

    heads: int
    key_value_rank: int
    plain_dim: int
    rotary_dim: int
    value_dim: int
    query_rank: int | None = None
    """None: queries aren't compressed."""

    @property
    def query_size(self) -> int:
        """Elements of the queries a token."""
        return self.heads * (self.plain_dim + self.rotary_dim)

    @property
    def key_size(self) -> int:
        """Elements of the keys a token once they are expanded."""
        return self.query_size

    @property
    def projected_key_size(self) -> int:
        """Elements of the keys a token as the projections give them: the rotary part, which all heads share, aside."""
        return self.heads * self.plain_dim

    @property
    def value_size(self) -> int:
        """Elements of the values a token once they are expanded."""
        return self.heads * self.value_dim

    @property
    def mixed_size(self) -> int:
        """Elements a token that the output projection reads."""
        return self.value_size

    @property
    def latent_size(self) -> int:
        """Elements a token of compressed queries, keys and values, before and after their normalisation."""
        return 2 * self.normalized_size + self.rotary_dim

    @property
    def normalized_size(self) -> int:
        """Elements a token that are normalised inside the attention."""
        return (self.query_rank or 0) + self.key_value_rank

    def parameters(self, hidden_size: int) -> int:
        """Return the number of parameters, the latent vectors' normalisations among them."""
        if self.query_rank is None:
            queries = hidden_size * self.query_size
        else:
            queries = hidden_size * self.query_rank + self.query_rank + self.query_rank * self.query_size
        expanded = self.heads * (self.plain_dim + self.value_dim)
        compression = hidden_size * (self.key_value_rank + self.rotary_dim) + self.key_value_rank
        return queries + compression + self.key_value_rank * expanded + self.mixed_size * hidden_size


@dataclass(frozen=True)
class FeedForward:
    """Two matrices with a nonlinearity between, or three where one gates the other (Shazeer 2020)."""

    intermediate_size: int
    gated: bool = True
    bias: bool = False
    keeps_input: bool = True
    """The nonlinearity's backward pass reads its input (GELU, SiLU); ReLU's reads its output alone."""

    def parameters(self, hidden_size: int) -> int:
        """Return the number of parameters: 3HI gated, else 2HI, and biases."""
        inputs = 2 if self.gated else 1
        biases = (inputs * self.intermediate_size + hidden_size) * self.bias
        return (inputs + 1) * hidden_size * self.intermediate_size + biases


@dataclass(frozen=True)
class Experts:
    """A router and E feed-forward networks, k of which see a token; shared ones see every token."""

    count: int
    per_token: int
    expert: FeedForward
    shared: FeedForward | None = None
    router_bias: bool = False
    router_in_fp32: bool = False
    """The router reads an FP32 copy of its input."""


AnyAttention = Attention | LatentAttention


@dataclass(frozen=True)
class Layers:
    """A run of equal layers."""

    count: int
    attention: AnyAttention
    feed_forward: FeedForward | Experts
    norms: int = 2
    """Normalisations a layer."""
    stack: Stack = "decoder"
    cross_attention: bool = False
    """A second attention, of the same sizes, reads the encoder."""
    parallel: bool = False
    """Attention and feed-forward stand side by side: both read the same residual stream."""

    @property
    def attentions(self) -> int:
        """Attentions a layer."""
        return 2 if self.cross_attention else 1
