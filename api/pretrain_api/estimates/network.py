"""A transformer as a list of parts whose parameters can be counted exactly.

Sizes are elements, not bytes; H is the width of the residual stream, V the vocabulary, L the layers.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
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
        return 2 * ((self.query_rank or 0) + self.key_value_rank) + self.rotary_dim

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

    @property
    def attentions(self) -> int:
        """Attentions a layer."""
        return 2 if self.cross_attention else 1


@dataclass(frozen=True)
class LayerParameters:
    """Parameters of one layer by part."""

    attention: int
    feed_forward: int
    """What every token passes: dense, or shared experts."""
    router: int
    experts: int
    """All routed experts together."""
    active_experts: int
    """The routed experts that one token passes."""
    normalization: int

    @property
    def without_experts(self) -> int:
        """All but the routed experts."""
        return self.attention + self.feed_forward + self.router + self.normalization


@dataclass(frozen=True)
class Network:
    """A transformer with every size known."""

    family: str
    vocab_size: int
    """Rows of the embedding."""
    hidden_size: int
    layers: tuple[Layers, ...]
    norm_bias: bool = False
    """LayerNorm with weight and bias (2H) instead of weight alone (H)."""
    tied: bool = False
    """The embedding is the output projection, too."""
    position_rows: int = 0
    """Learned positions."""
    token_type_rows: int = 0
    outer_norms: int = 1
    """Normalisations outside the layers: after the embedding, after the last layer."""
    relative_position_values: int = 0
    """Learned biases by distance (T5)."""
    head_values: int = 0
    """Pooler and heads beside the output projection, and its bias."""
    decoder_share: float = 1.0
    """Tokens of the decoder for each token of the encoder, where there are two stacks."""
    formula: str = field(default="", compare=False)
    """How the parameters are counted, for people."""

    @property
    def num_layers(self) -> int:
        """Layers of all stacks."""
        return sum(group.count for group in self.layers)

    @property
    def has_two_stacks(self) -> bool:
        """Whether there is an encoder beside the decoder."""
        return len({group.stack for group in self.layers}) > 1

    @property
    def norm_size(self) -> int:
        """Parameters of a normalisation."""
        return self.hidden_size * (2 if self.norm_bias else 1)

    @property
    def embedding_size(self) -> int:
        """Parameters of the embedding, VH."""
        return self.vocab_size * self.hidden_size

    def layer_parameters(self, layer: Layers) -> LayerParameters:
        """Return the parameters of one layer of a run."""
        hidden = self.hidden_size
        dense, router, experts, active = 0, 0, 0, 0
        if isinstance(layer.feed_forward, Experts):
            mixture = layer.feed_forward
            one = mixture.expert.parameters(hidden)
            dense = mixture.shared.parameters(hidden) if mixture.shared else 0
            router = mixture.count * (hidden + mixture.router_bias)
            experts, active = mixture.count * one, mixture.per_token * one
        else:
            dense = layer.feed_forward.parameters(hidden)
        attention = layer.attentions * layer.attention.parameters(hidden)
        return LayerParameters(attention, dense, router, experts, active, layer.norms * self.norm_size)

    def parameters_by_part(self) -> dict[str, int]:
        """Return the number of parameters by part; parts that aren't there are left out."""
        parts: Counter[str] = Counter(
            embedding=self.embedding_size,
            positions=self.position_rows * self.hidden_size,
            tokenTypes=self.token_type_rows * self.hidden_size,
            relativePositions=self.relative_position_values,
            normalization=self.outer_norms * self.norm_size,
            outputProjection=0 if self.tied else self.embedding_size,
            heads=self.head_values,
        )
        for group in self.layers:
            layer = self.layer_parameters(group)
            parts["attention"] += group.count * layer.attention
            parts["feedForward"] += group.count * layer.feed_forward
            parts["router"] += group.count * layer.router
            parts["experts"] += group.count * layer.experts
            parts["normalization"] += group.count * layer.normalization
        return {part: count for part, count in parts.items() if count}

    def parameters(self) -> int:
        """Return the number of parameters; tied ones count once."""
        return sum(self.parameters_by_part().values())

    def active_parameters(self) -> int:
        """Return the parameters a token passes where experts are chosen; elsewhere all of them."""
        idle = 0
        for group in self.layers:
            layer = self.layer_parameters(group)
            idle += group.count * (layer.experts - layer.active_experts)
        return self.parameters() - idle

    def non_embedding_parameters(self) -> int:
        """Return the active parameters without embedding, output projection, positions and token types: Kaplan's N."""
        tables = self.embedding_size * (1 if self.tied else 2)
        return self.active_parameters() - tables - (self.position_rows + self.token_type_rows) * self.hidden_size

    def parameters_per_token(self, *, input_embeddings: bool = True) -> float:
        """Return P of 6CP: the parameters that a counted token is multiplied with.

        These are the active parameters. With two stacks a token of the encoder is the counted one; it brings
        `decoder_share` tokens of the decoder with it, so the decoder and the output projection count with that share.

        Args:
            input_embeddings: Count tables that are looked up, not multiplied with: the embedding where it isn't the
                output projection too, positions, token types.
        """
        total = float(self.active_parameters())
        if not input_embeddings:
            total -= (self.position_rows + self.token_type_rows) * self.hidden_size
            total -= 0 if self.tied else self.embedding_size
        if self.has_two_stacks:
            decoder = sum(
                group.count * self.layer_parameters(group).without_experts
                for group in self.layers
                if group.stack == "decoder"
            )
            output = self.embedding_size if not (self.tied and input_embeddings) else 0
            total -= (1 - self.decoder_share) * (decoder + output)
        return total
