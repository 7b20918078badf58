"""Networks with experts: sizes that fit each other."""

from __future__ import annotations

from collections.abc import Iterator

from pretrain_api.presets import EXPERT_FAMILIES, FIELDS_OF_FAMILY, Architecture
from pretrain_api.problems import Finding
from pretrain_api.validation.rules.model import intact_architecture
from pretrain_api.validation.rules.registry import RuleContext, rule

_MODEL = "spec.model"


def _sizes(context: RuleContext, field: str) -> Architecture | None:
    """Return the model's sizes where its family has the field."""
    sizes = intact_architecture(context)
    return sizes if sizes is not None and field in FIELDS_OF_FAMILY[sizes.family] else None


@rule()
def experts_are_enough(context: RuleContext) -> Iterator[Finding]:
    """A token passes different experts, of as many groups as it may."""
    sizes = intact_architecture(context)
    if sizes is None or sizes.family not in EXPERT_FAMILIES:
        return
    within = sizes.num_local_experts // sizes.n_group * min(sizes.topk_group, sizes.n_group)
    if sizes.num_experts_per_tok > within:
        where = f" of {sizes.topk_group} of {sizes.n_group} groups" if sizes.n_group > 1 else ""
        yield Finding(
            f"{_MODEL}.numExpertsPerTok",
            f"a token cannot pass {sizes.num_experts_per_tok} of {within} experts{where}; write at most {within}, or "
            f"raise {'topkGroup' if where else 'numLocalExperts'}",
        )


@rule()
def groups_divide_the_experts(context: RuleContext) -> Iterator[Finding]:
    """Groups are equal, and a token's are among them."""
    sizes = _sizes(context, "n_group")
    if sizes is None:
        return
    if sizes.num_local_experts % sizes.n_group:
        yield Finding(
            f"{_MODEL}.nGroup",
            f"{sizes.num_local_experts} experts cannot be divided into {sizes.n_group} equal groups; write a divisor",
        )
    elif sizes.topk_group > sizes.n_group:
        yield Finding(
            f"{_MODEL}.topkGroup",
            f"a token's experts cannot come from {sizes.topk_group} of {sizes.n_group} groups; write at most "
            f"{sizes.n_group}, or raise nGroup",
        )


@rule()
def a_layer_has_experts(context: RuleContext) -> Iterator[Finding]:
    """The dense layers at the beginning leave some for experts."""
    sizes = _sizes(context, "first_k_dense_replace")
    if sizes is not None and sizes.first_k_dense_replace >= sizes.num_hidden_layers:
        yield Finding(
            f"{_MODEL}.firstKDenseReplace",
            f"{sizes.first_k_dense_replace} dense layers of {sizes.num_hidden_layers} leave none with experts; write "
            f"less than {sizes.num_hidden_layers}",
        )


@rule()
def rotary_part_is_even(context: RuleContext) -> Iterator[Finding]:
    """The part of a head that has positions turns pairs."""
    sizes = _sizes(context, "qk_rope_head_dim")
    if sizes is not None and sizes.qk_rope_head_dim % 2:
        yield Finding(
            f"{_MODEL}.qkRopeHeadDim",
            f"{sizes.qk_rope_head_dim} elements cannot be rotated (RoPE turns pairs); write an even number",
        )
