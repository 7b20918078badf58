"""Model families by name, and what holds for all of them: building, initialising, counting."""

from __future__ import annotations

import hashlib
from dataclasses import fields

import torch
from torch import Tensor, nn

from pretrain_api.estimates.families import from_architecture
from pretrain_api.estimates.flops import training_flops
from pretrain_api.presets import Architecture, architecture
from pretrain_api.spec.model import Model, ModelFamily
from pretrain_api.spec.objective import Objective
from pretrain_trainer.errors import InvalidConfiguration
from pretrain_trainer.models.baichuan import BaichuanForCausalLM
from pretrain_trainer.models.bert import BertForPreTraining
from pretrain_trainer.models.bloom import BloomForCausalLM
from pretrain_trainer.models.deepseek_moe import DeepseekMoeForCausalLM
from pretrain_trainer.models.deepseek_v2 import DeepseekV2ForCausalLM
from pretrain_trainer.models.deepseek_v3 import DeepseekV3ForCausalLM
from pretrain_trainer.models.falcon import FalconForCausalLM
from pretrain_trainer.models.glm import GlmForCausalLM
from pretrain_trainer.models.gpt2 import GPT2LMHeadModel
from pretrain_trainer.models.gpt_neox import GPTNeoXForCausalLM
from pretrain_trainer.models.llama import LlamaForCausalLM
from pretrain_trainer.models.mixtral import MixtralForCausalLM
from pretrain_trainer.models.network import Network, NetworkConfig, TrainingOptions
from pretrain_trainer.models.opt import OPTForCausalLM
from pretrain_trainer.models.t5 import T5ForConditionalGeneration

FAMILIES: dict[ModelFamily, type[Network]] = {
    "llama": LlamaForCausalLM,
    "gpt2": GPT2LMHeadModel,
    "bert": BertForPreTraining,
    "t5": T5ForConditionalGeneration,
    "mixtral": MixtralForCausalLM,
    "bloom": BloomForCausalLM,
    "deepseek-moe": DeepseekMoeForCausalLM,
    "deepseek-v2": DeepseekV2ForCausalLM,
    "deepseek-v3": DeepseekV3ForCausalLM,
    "baichuan": BaichuanForCausalLM,
    "glm": GlmForCausalLM,
    "gpt-neox": GPTNeoXForCausalLM,
    "opt": OPTForCausalLM,
    "falcon": FalconForCausalLM,
}


def network_config(spec: Model, vocab_size: int, sequence_length: int) -> NetworkConfig:
    """Return the sizes of the network that `spec` asks for.

    Args:
        spec: Preset, sizes, or both.
        vocab_size: Size of the tokenizer's vocabulary.
        sequence_length: Tokens a sequence in training.

    Raises:
        InvalidConfiguration: A size is missing or too small.
    """
    try:
        shape = architecture(spec)
    except (KeyError, ValueError) as error:
        raise InvalidConfiguration(f"spec.model: {error}; name a known preset or give all sizes") from None
    rows = shape.vocab_size or vocab_size
    if rows < vocab_size:
        raise InvalidConfiguration(
            f"spec.model.vocabSize: {rows} is less than the tokenizer's {vocab_size}; leave it out or raise it"
        )
    positions = shape.max_position_embeddings or sequence_length
    if positions < sequence_length:
        raise InvalidConfiguration(
            f"spec.model.maxPositionEmbeddings: {positions} is less than spec.training.sequenceLength "
            f"{sequence_length}; leave it out or raise it"
        )
    sizes = {field.name: getattr(shape, field.name) for field in fields(Architecture)}
    return NetworkConfig(**(sizes | {"vocab_size": rows, "max_position_embeddings": positions}))


def build_model(
    spec: Model,
    vocab_size: int,
    sequence_length: int,
    recompute: str = "none",
    device: str = "cpu",
    objective: Objective | None = None,
) -> Network:
    """Return the network that `spec` asks for; its weights are not initialised.

    Raises:
        InvalidConfiguration: A size is missing or too small.
    """
    config = network_config(spec, vocab_size, sequence_length)
    options = TrainingOptions(recompute, objective or Objective())
    with torch.device("meta"):
        model = FAMILIES[config.family](config, options)
    if device != "meta":
        model.to_empty(device=device)
        model.tie_weights()
    return model


@torch.no_grad()
def initialize(model: Network, seed: int) -> None:
    """Fill the weights: matrices from a normal distribution, biases with zeros, other vectors with ones.

    Every parameter has a random stream of its own, drawn on the CPU and keyed by its name, so that its values depend on
    neither the others nor on how the model is divided.
    """
    for name, parameter in model.named_parameters():
        parameter.copy_(initial_value(model, name, parameter.shape, seed))


def initial_value(model: Network, name: str, shape: torch.Size, seed: int) -> Tensor:
    """Return the initial FP32 value of the parameter `name`."""
    if len(shape) < 2:
        return torch.zeros(shape) if name.endswith("bias") else torch.ones(shape)
    key = hashlib.sha256(f"{seed}:{name}".encode()).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(key[:8], "little", signed=True))
    deviation = model.initial_deviation(name)
    if isinstance(deviation, Tensor):
        return torch.empty(shape).normal_(generator=generator).mul_(deviation)
    return torch.empty(shape).normal_(0.0, deviation, generator=generator)


def parameter_shape(parameter: nn.Parameter) -> torch.Size:
    """Return the shape of the whole parameter, even where ZeRO 3 has left an empty tensor in its place."""
    return torch.Size(getattr(parameter, "ds_shape", parameter.shape))


def count_parameters(model: nn.Module) -> int:
    """Return the number of parameters, shared ones once."""
    return sum(parameter_shape(parameter).numel() for parameter in model.parameters())


def flops_per_token(model: Network, sequence_length: int) -> float:
    """Return the training FLOPs a token: 6 N + 12 L H T.

    N leaves embeddings that are only looked up out; the attention term (PaLM, appendix B) takes no causal discount,
    and recomputation isn't counted.
    """
    network = from_architecture(model.config, pretraining_heads=model.options.judges_pairs)
    return training_flops(network, 1.0, sequence_length, "none").model
