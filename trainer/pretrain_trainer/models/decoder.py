"""What decoders have in common: the way through the layers, and the losses at its end."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from pretrain_trainer.models.attention import View, decoder_view
from pretrain_trainer.models.experts import RouterUse
from pretrain_trainer.models.heads import LanguageModelHead, shifted
from pretrain_trainer.models.layers import run
from pretrain_trainer.models.network import Network, NetworkConfig, TrainingOptions

FUTURE = "future_layers."
"""Parameters of the layers that predict tokens after the next one; they aren't exported."""


class DecoderNetwork(Network):
    """A decoder: embedding, layers, final normalisation, output projection.

    With `futureTokens` n more layers stand beside the last one, read what it reads, and predict the tokens 2 to n + 1
    places ahead through the same normalisation and projection (Gloeckle et al. 2024, section 2).
    """

    lm_head: LanguageModelHead

    def __init__(self, config: NetworkConfig, options: TrainingOptions) -> None:
        super().__init__(config, options)
        objective = options.objective
        self.future_layers = nn.ModuleList(self.build_layer() for _ in range(objective.future_tokens))
        self.future_weight = objective.future_weight

    def build_layer(self) -> nn.Module:
        """Return one layer: it maps (hidden, view, *context) to hidden, or to hidden and the use of its router."""
        raise NotImplementedError

    def layers(self) -> Iterable[nn.Module]:
        """Return the layers in their order."""
        raise NotImplementedError

    def embed(self, tokens: Tensor, positions: Tensor | None) -> tuple[Tensor, Any]:
        """Return what the first layer reads, [batch, length, hidden_size], and what all layers know of positions."""
        raise NotImplementedError

    def view(self, tokens: Tensor, prefix_lengths: Tensor | None, document_ids: Tensor | None) -> View:
        """Return what the positions of all layers see, as `decoder_view` says."""
        return decoder_view(tokens, prefix_lengths, document_ids)

    def normalize(self, hidden: Tensor) -> Tensor:
        """Return the last layer's output as the projection reads it."""
        raise NotImplementedError

    def head(self) -> LanguageModelHead:
        """Return the output projection."""
        return self.lm_head

    def layer_loss(self, uses: list[RouterUse]) -> Tensor:
        """Return what routers add to the loss."""
        raise NotImplementedError

    def exports(self, name: str) -> bool:
        """Return whether the parameter `name` is a part of the exported network."""
        return not name.startswith(FUTURE)

    def forward(
        self,
        input_ids: Tensor,
        labels: Tensor | None = None,
        prefix_lengths: Tensor | None = None,
        position_ids: Tensor | None = None,
        document_ids: Tensor | None = None,
    ) -> Tensor:
        """Return the loss if there are labels, else logits [batch, length, vocabulary].

        Args:
            input_ids: int64[batch, length].
            labels: int64[batch, length], the token to predict at each position, or IGNORED_TARGET.
            prefix_lengths: int64[batch], positions at the beginning that all see.
            position_ids: int64[batch, length]; default: 0, 1, 2, …
            document_ids: int64[batch, length]; attention stays within equal ones.
        """
        view = self.view(input_ids, prefix_lengths, document_ids)
        hidden, positions = self.embed(input_ids, position_ids)
        before, uses = hidden, []
        for layer in self.layers():
            before = hidden
            hidden, use = self._through(layer, hidden, view, positions)
            uses += use
        loss: Tensor = self.head()(self.normalize(hidden), labels)
        if labels is None or not self.training:
            return loss  # or logits
        future = []
        for places, layer in enumerate(self.future_layers, 1):
            ahead, use = self._through(layer, before, view, positions)
            uses += use
            future.append(self.head()(self.normalize(ahead), shifted(labels, places)))
        if future:
            loss = loss + self.future_weight * torch.stack(future).mean()
        return loss + self.layer_loss(uses) if uses else loss

    def _through(self, layer: nn.Module, *arguments: Any) -> tuple[Tensor, list[RouterUse]]:
        output = run(self.options.recomputes_layers, layer, *arguments)
        return (output[0], [output[1]]) if isinstance(output, tuple) else (output, [])
