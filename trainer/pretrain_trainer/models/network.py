"""What all networks have in common: their sizes, how they are trained, what is known of their parameters."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from torch import Tensor, nn

from pretrain_api.objectives import ModelKind
from pretrain_api.presets import Architecture
from pretrain_api.spec.objective import Objective


@dataclass(frozen=True)
class NetworkConfig(Architecture):
    """Sizes of a network: all of them known."""

    vocab_size: int = 0
    """Rows of the embedding."""
    max_position_embeddings: int = 0
    """Tokens a sequence may have."""


@dataclass(frozen=True)
class TrainingOptions:
    """How a network is trained, as far as it must know when it is built."""

    recompute: str = "none"
    """Activations computed again in the backward pass: "none", "selective" (attention) or "full" (layers)."""
    objective: Objective = field(default_factory=Objective)

    @property
    def recomputes_attention(self) -> bool:
        """Whether attention is computed again."""
        return self.recompute == "selective"

    @property
    def recomputes_layers(self) -> bool:
        """Whether layers are computed again."""
        return self.recompute == "full"

    @property
    def judges_pairs(self) -> bool:
        """Whether pairs of sentences are judged, too."""
        return any(part.sentence_pairs for part in self.objective.parts)


class Network(nn.Module):
    """A network of some family. Its parameters are named as in the class of Hugging Face that reads its export.

    In training `forward` returns the loss with all that the objective and the family add to it, in evaluation the mean
    cross-entropy of the tokens alone, and without labels the logits.
    """

    kind: ClassVar[ModelKind] = "decoder"

    def __init__(self, config: NetworkConfig, options: TrainingOptions) -> None:
        """Build the network; weights are not initialised yet."""
        super().__init__()
        self.config = config
        self.options = options

    def tie_weights(self) -> None:
        """Make one parameter of those that are to be; again after `to_empty`, which parts them."""

    def initial_deviation(self, name: str) -> float | Tensor:
        """Return the standard deviation of the initial values of the matrix `name`, or one of each value, in a tensor
        that broadcasts to it."""
        raise NotImplementedError

    def exports(self, name: str) -> bool:
        """Return whether the parameter `name` is a part of the exported network."""
        return True

    def sign_steps(self) -> dict[str, float]:
        """Return the parameters that go a fixed step against the sign of their gradient, with its length, by name; the
        optimiser moves all others."""
        return {}

    def exported(self, name: str, weight: Tensor) -> dict[str, Tensor]:
        """Return the tensors of the export that say what the parameter `name` does: itself, but where the class of
        Hugging Face that reads the export computes something else with it."""
        return {name: weight}

    def imported(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the parameters that the tensors of an export say, by name: what `exported` did undone."""
        return tensors

    def hugging_face_config(self) -> dict[str, Any]:
        """Return the fields of Hugging Face's config.json that say what this network is."""
        raise NotImplementedError
