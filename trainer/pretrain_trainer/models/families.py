"""Model families by name, and what holds for all of them: building, initialising, counting."""

from __future__ import annotations

import hashlib
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from pretrain_api.spec.model import Model
from pretrain_trainer.errors import InvalidConfiguration
from pretrain_trainer.models.llama import LlamaConfig, LlamaForCausalLM


class ModelConfig(Protocol):
    """The architecture of any family."""

    vocab_size: int
    hidden_size: int
    num_hidden_layers: int

    def to_hugging_face(self) -> dict[str, Any]:
        """Return the fields of Hugging Face's config.json."""
        ...


FAMILIES: dict[str, tuple[type[LlamaConfig], type[LlamaForCausalLM]]] = {"llama": (LlamaConfig, LlamaForCausalLM)}


def build_model(
    spec: Model, vocab_size: int, sequence_length: int, recompute: str = "none", device: str = "cpu"
) -> LlamaForCausalLM:
    """Return the network that `spec` asks for; its weights are not initialised.

    Raises:
        InvalidConfiguration: The family is unknown or a size is missing.
    """
    family = spec.family or "llama"
    if family not in FAMILIES:
        raise InvalidConfiguration(f"spec.model.family: {family!r} is unknown; one of {', '.join(FAMILIES)}")
    config_class, model_class = FAMILIES[family]
    with torch.device("meta"):
        model = model_class(config_class.from_spec(spec, vocab_size, sequence_length), recompute)
    if device != "meta":
        model.to_empty(device=device)
        model.tie_weights()
    return model


@torch.no_grad()
def initialize(model: LlamaForCausalLM, seed: int) -> None:
    """Fill the weights: matrices from a normal distribution, vectors with ones.

    Every parameter has a random stream of its own, drawn on the CPU and keyed by its name, so that its values depend on
    neither the others nor on how the model is divided.
    """
    for name, parameter in model.named_parameters():
        parameter.copy_(initial_value(model, name, parameter.shape, seed))


def initial_value(model: LlamaForCausalLM, name: str, shape: torch.Size, seed: int) -> Tensor:
    """Return the initial FP32 value of the parameter `name`."""
    if len(shape) < 2:
        return torch.ones(shape)
    key = hashlib.sha256(f"{seed}:{name}".encode()).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(key[:8], "little", signed=True))
    return torch.empty(shape).normal_(0.0, model.initial_deviation(name), generator=generator)


def parameter_shape(parameter: nn.Parameter) -> torch.Size:
    """Return the shape of the whole parameter, even where ZeRO 3 has left an empty tensor in its place."""
    return torch.Size(getattr(parameter, "ds_shape", parameter.shape))


def count_parameters(model: nn.Module) -> int:
    """Return the number of parameters, shared ones once."""
    return sum(parameter_shape(parameter).numel() for parameter in model.parameters())


def flops_per_token(model: LlamaForCausalLM, sequence_length: int) -> float:
    """Return the training FLOPs a token: 6 N + 12 L H T.

    N leaves the input embedding out; the attention term (PaLM, appendix B) takes no causal discount, and recomputation
    isn't counted.
    """
    embedding = 0 if model.config.tie_word_embeddings else model.config.vocab_size * model.config.hidden_size
    attention = 12 * model.config.num_hidden_layers * model.config.num_attention_heads * model.config.head_dim
    return 6.0 * (count_parameters(model) - embedding) + attention * sequence_length
