"""The BERT family (Devlin et al. 2019): an encoder that fills masks, and may judge pairs of sentences."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from pretrain_api.objectives import ModelKind
from pretrain_trainer.models.attention import View, attend, padding_view
from pretrain_trainer.models.cross_entropy import IGNORED_TARGET
from pretrain_trainer.models.heads import LanguageModelHead
from pretrain_trainer.models.layers import embedding, run
from pretrain_trainer.models.network import Network, NetworkConfig, TrainingOptions

SEGMENTS = 2


class BertEmbeddings(nn.Module):
    """Sum of tokens, positions and segments."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.dropout = config.dropout
        self.word_embeddings = embedding(config.vocab_size, config.hidden_size)
        self.position_embeddings = embedding(config.max_position_embeddings, config.hidden_size)
        self.token_type_embeddings = embedding(SEGMENTS, config.hidden_size)
        self.LayerNorm = nn.LayerNorm(config.hidden_size, config.layer_norm_eps)

    def forward(self, tokens: Tensor, segments: Tensor) -> Tensor:
        """Map int64[batch, length] of each to [batch, length, hidden_size]."""
        positions = self.position_embeddings(torch.arange(tokens.shape[1], device=tokens.device))
        summed = self.word_embeddings(tokens) + positions + self.token_type_embeddings(segments)
        return functional.dropout(self.LayerNorm(summed), self.dropout, self.training)


class BertProjections(nn.Module):
    """Attention without its output projection, which is a part of the next module in published weights."""

    def __init__(self, config: NetworkConfig, options: TrainingOptions) -> None:
        super().__init__()
        self.head_size, self.dropout = config.head_dim, config.dropout
        self.recompute = options.recomputes_attention
        self.query = nn.Linear(config.hidden_size, config.hidden_size)
        self.key = nn.Linear(config.hidden_size, config.hidden_size)
        self.value = nn.Linear(config.hidden_size, config.hidden_size)

    def forward(self, hidden: Tensor, view: View) -> Tensor:
        """Map [batch, length, hidden_size] to the same shape."""
        projected = self.query(hidden), self.key(hidden), self.value(hidden)
        dropout = self.dropout if self.training else 0.0
        mixed: Tensor = run(self.recompute, attend, *projected, self.head_size, view, None, None, dropout)
        return mixed


class BertOutput(nn.Module):
    """A projection, added to the residual stream, and the normalisation after it."""

    def __init__(self, inputs: int, config: NetworkConfig) -> None:
        super().__init__()
        self.dropout = config.dropout
        self.dense = nn.Linear(inputs, config.hidden_size)
        self.LayerNorm = nn.LayerNorm(config.hidden_size, config.layer_norm_eps)

    def forward(self, hidden: Tensor, residual: Tensor) -> Tensor:
        """Map [batch, length, inputs] to [batch, length, hidden_size]."""
        projected = functional.dropout(self.dense(hidden), self.dropout, self.training)
        output: Tensor = self.LayerNorm(residual + projected)
        return output


class BertLayer(nn.Module):
    """Attention and feed-forward, each with a normalisation after it."""

    def __init__(self, config: NetworkConfig, options: TrainingOptions) -> None:
        super().__init__()
        attention = {"self": BertProjections(config, options), "output": BertOutput(config.hidden_size, config)}
        self.attention = nn.ModuleDict(attention)
        self.intermediate = nn.ModuleDict({"dense": nn.Linear(config.hidden_size, config.intermediate_size)})
        self.output = BertOutput(config.intermediate_size, config)

    def forward(self, hidden: Tensor, view: View) -> Tensor:
        """Map [batch, length, hidden_size] to the same shape."""
        attended = self.attention["output"](self.attention["self"](hidden, view), hidden)
        output: Tensor = self.output(functional.gelu(self.intermediate["dense"](attended)), attended)
        return output


class BertPredictions(nn.Module):
    """What makes predictions of hidden states: a layer, and the embedding as projection."""

    def __init__(self, config: NetworkConfig, z_loss: float) -> None:
        super().__init__()
        norm = nn.LayerNorm(config.hidden_size, config.layer_norm_eps)
        self.transform = nn.ModuleDict({"dense": nn.Linear(config.hidden_size, config.hidden_size), "LayerNorm": norm})
        self.decoder = LanguageModelHead(config.hidden_size, config.vocab_size, z_loss)
        self.bias = nn.Parameter(torch.empty(config.vocab_size))

    def forward(self, hidden: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return logits [..., vocabulary], or the mean cross-entropy if there are labels."""
        transformed = self.transform["LayerNorm"](functional.gelu(self.transform["dense"](hidden)))
        output: Tensor = self.decoder(transformed, labels, self.bias)
        return output


class BertModel(nn.Module):
    """Embeddings and layers; and the pooler, where pairs are judged."""

    def __init__(self, config: NetworkConfig, options: TrainingOptions) -> None:
        super().__init__()
        self.recompute = options.recomputes_layers
        self.embeddings = BertEmbeddings(config)
        layers = nn.ModuleList(BertLayer(config, options) for _ in range(config.num_hidden_layers))
        self.encoder = nn.ModuleDict({"layer": layers})
        if options.judges_pairs:
            self.pooler = nn.ModuleDict({"dense": nn.Linear(config.hidden_size, config.hidden_size)})

    def forward(self, tokens: Tensor, segments: Tensor, view: View) -> Tensor:
        """Map int64[batch, length] to [batch, length, hidden_size]."""
        hidden: Tensor = self.embeddings(tokens, segments)
        for layer in self.encoder["layer"].children():
            hidden = run(self.recompute, layer, hidden, view)
        return hidden

    def pool(self, hidden: Tensor) -> Tensor:
        """Return [batch, hidden_size] of the first position's hidden state."""
        pooled: Tensor = self.pooler["dense"](hidden[:, 0]).tanh()
        return pooled


class BertHeads(nn.Module):
    """What fills masks, and what judges pairs."""

    def __init__(self, config: NetworkConfig, options: TrainingOptions) -> None:
        super().__init__()
        self.predictions = BertPredictions(config, options.objective.z_loss)
        if options.judges_pairs:
            self.seq_relationship = nn.Linear(config.hidden_size, 2)


class BertForPreTraining(Network):
    """Encoder and the heads it is trained with. Without pairs it is what Hugging Face calls BertForMaskedLM."""

    kind: ClassVar[ModelKind] = "encoder"

    def __init__(self, config: NetworkConfig, options: TrainingOptions) -> None:
        super().__init__(config, options)
        self.bert = BertModel(config, options)
        self.cls = BertHeads(config, options)
        self.tie_weights()

    def tie_weights(self) -> None:
        """Make embedding and output projection one parameter."""
        self.cls.predictions.decoder.weight = self.bert.embeddings.word_embeddings.weight

    def judge(self, hidden: Tensor) -> Tensor:
        """Return logits [batch, 2] of the pairs: 0 in order, 1 not."""
        judged: Tensor = self.cls.seq_relationship(self.bert.pool(hidden))
        return judged

    def forward(
        self,
        input_ids: Tensor,
        labels: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        sentence_labels: Tensor | None = None,
    ) -> Tensor:
        """Return the loss if there are labels, else logits [batch, length, vocabulary].

        Args:
            input_ids: int64[batch, length].
            labels: int64[batch, length], the tokens that were masked, IGNORED_TARGET elsewhere.
            attention_mask: int64[batch, length], 0 where there's padding.
            token_type_ids: int64[batch, length], the segment: 0 or 1.
            sentence_labels: int64[batch], 0 where the second segment is in its place, 1 where not.
        """
        segments = torch.zeros_like(input_ids) if token_type_ids is None else token_type_ids
        hidden = self.bert(input_ids, segments, padding_view(attention_mask))
        if labels is None:
            logits: Tensor = self.cls.predictions(hidden)
            return logits
        masked = labels != IGNORED_TARGET
        loss: Tensor = self.cls.predictions(hidden[masked], labels[masked])
        if self.training and self.options.judges_pairs and sentence_labels is not None:
            loss = loss + _mean_cross_entropy(self.judge(hidden).float(), sentence_labels)
        return loss

    def initial_deviation(self, name: str) -> float:
        """Return the standard deviation of the initial values of the matrix `name`."""
        return self.config.initializer_range

    def hugging_face_config(self) -> dict[str, Any]:
        """Return the fields of Hugging Face's BertConfig that say the same."""
        config = self.config
        names = (
            "vocab_size",
            "hidden_size",
            "intermediate_size",
            "num_hidden_layers",
            "num_attention_heads",
            "max_position_embeddings",
            "layer_norm_eps",
            "initializer_range",
        )
        return {name: getattr(config, name) for name in names} | {
            "architectures": ["BertForPreTraining" if self.options.judges_pairs else "BertForMaskedLM"],
            "model_type": "bert",
            "hidden_act": "gelu",
            "type_vocab_size": SEGMENTS,
            **dict.fromkeys(("hidden_dropout_prob", "attention_probs_dropout_prob"), config.dropout),
        }


def _mean_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the mean over the labels that count; 0 where none does."""
    total = functional.cross_entropy(logits, labels, ignore_index=IGNORED_TARGET, reduction="sum")
    return total / (labels != IGNORED_TARGET).sum().clamp(min=1)
