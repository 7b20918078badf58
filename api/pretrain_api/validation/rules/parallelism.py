"""How the model is divided over ranks."""

from __future__ import annotations

from collections.abc import Iterator

from pretrain_api.problems import Finding
from pretrain_api.validation.rules.model import intact_architecture
from pretrain_api.validation.rules.registry import RuleContext, rule

_PARALLELISM = "spec.training.parallelism"


@rule(f"{_PARALLELISM}.tensor")
def tensor_divides_the_heads(context: RuleContext) -> Iterator[Finding]:
    """Each tensor rank has whole attention and key-value heads."""
    architecture = intact_architecture(context)
    if context.training is None or architecture is None:
        return
    size = context.training.parallelism.tensor
    for name, heads in (
        ("numAttentionHeads", architecture.num_attention_heads),
        ("numKeyValueHeads", architecture.num_key_value_heads),
    ):
        if heads % size:
            yield Finding(
                f"{_PARALLELISM}.tensor",
                f"{name} {heads} is not divisible by tensor {size}; write a divisor of {heads}",
            )


@rule(f"{_PARALLELISM}.pipeline")
def pipeline_divides_the_layers(context: RuleContext) -> Iterator[Finding]:
    """Each pipeline rank has whole layers, as many as the others."""
    architecture = intact_architecture(context)
    if context.training is None or architecture is None:
        return
    size, layers = context.training.parallelism.pipeline, architecture.num_hidden_layers
    if layers % size:
        yield Finding(
            f"{_PARALLELISM}.pipeline",
            f"numHiddenLayers {layers} is not divisible by pipeline {size}; write a divisor of {layers}",
        )


@rule(f"{_PARALLELISM}.zero", f"{_PARALLELISM}.pipeline")
def pipeline_limits_zero(context: RuleContext) -> Iterator[Finding]:
    """DeepSpeed's pipeline engine keeps whole gradients: ZeRO 2 and 3 can't shard them."""
    parallelism = context.training.parallelism if context.training else None
    if parallelism is not None and parallelism.pipeline > 1 and parallelism.zero > 1:
        yield Finding(f"{_PARALLELISM}.zero", f"ZeRO {parallelism.zero} does not work with pipeline > 1; write 0 or 1")


@rule(f"{_PARALLELISM}.zero", f"{_PARALLELISM}.offload")
def offload_needs_zero(context: RuleContext) -> Iterator[Finding]:
    """DeepSpeed offloads sharded states only: to memory from ZeRO 1 on, to NVMe with ZeRO 3."""
    parallelism = context.training.parallelism if context.training else None
    least = {"none": 0, "cpu": 1, "nvme": 3}
    if parallelism is not None and parallelism.zero < least[parallelism.offload]:
        yield Finding(
            f"{_PARALLELISM}.offload",
            f"offload: {parallelism.offload} needs ZeRO {least[parallelism.offload]} or more, not "
            f"{parallelism.zero}; raise spec.training.parallelism.zero, or write offload: none",
        )
