"""A transformer as a list of parts whose parameters can be counted exactly.

Sizes are elements, not bytes; H is the width of the residual stream, V the vocabulary, L the layers.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from pretrain_api.estimates.layers import Experts, Layers


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
