"""The model: a known preset or all sizes, and sizes that fit each other."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic.alias_generators import to_camel

from pretrain_api.presets import PRESETS, REQUIRED_WITHOUT_PRESET, Architecture, architecture
from pretrain_api.problems import Finding, shown
from pretrain_api.spec.model import Model
from pretrain_api.validation.rules.registry import RuleContext, rule
from pretrain_api.validation.suggestions import closest

_MODEL = "spec.model"
_SIZES = tuple(
    f"{_MODEL}.{to_camel(name)}" for name in ("preset", *REQUIRED_WITHOUT_PRESET, "num_key_value_heads", "head_dim")
)


@rule(f"{_MODEL}.preset")
def preset_is_known(context: RuleContext) -> Iterator[Finding]:
    """Only documented models have presets."""
    preset = context.spec.model.preset if context.spec.model else None
    if preset is not None and preset not in PRESETS:
        match = closest(preset, PRESETS)
        hint = f"did you mean '{match}'? " if match else ""
        yield Finding(
            f"{_MODEL}.preset",
            f"{shown(preset)} is not a known preset; {hint}there are {', '.join(PRESETS)}; or leave it out and write "
            f"{', '.join(map(to_camel, REQUIRED_WITHOUT_PRESET))}",
        )


@rule(f"{_MODEL}.preset")
def sizes_without_preset(context: RuleContext) -> Iterator[Finding]:
    """Without a preset the sizes have to be given."""
    model = context.spec.model
    if model is None or model.preset is not None:
        return
    for name in REQUIRED_WITHOUT_PRESET:
        path = f"{_MODEL}.{to_camel(name)}"
        if getattr(model, name) is None and context.intact(path):
            yield Finding(path, "is missing; a model without a preset needs it: write it, or write preset: llama-7b")


def intact_architecture(context: RuleContext) -> Architecture | None:
    """Return the model's architecture; None where it isn't known."""
    model = context.spec.model
    if model is None or not context.intact(*_SIZES) or not _is_complete(model):
        return None
    return architecture(model)


def _is_complete(model: Model) -> bool:
    if model.preset is not None:
        return model.preset in PRESETS
    return all(getattr(model, name) is not None for name in REQUIRED_WITHOUT_PRESET)


@rule()
def heads_divide_the_width(context: RuleContext) -> Iterator[Finding]:
    """A head is hiddenSize / numAttentionHeads wide unless its size is given; rotary positions need it even."""
    sizes = intact_architecture(context)
    if sizes is None:
        return
    assert context.spec.model is not None
    given = context.spec.model.head_dim is not None
    if not given and sizes.hidden_size % sizes.num_attention_heads:
        yield Finding(
            f"{_MODEL}.numAttentionHeads",
            f"hiddenSize {sizes.hidden_size} is not divisible by numAttentionHeads {sizes.num_attention_heads}; write "
            f"{_nearest_divisors(sizes.hidden_size, sizes.num_attention_heads)}, or write headDim",
        )
    elif sizes.head_dim % 2:
        yield Finding(
            f"{_MODEL}.{'headDim' if given else 'numAttentionHeads'}",
            f"a head of {sizes.head_dim} cannot be rotated (RoPE turns pairs); write sizes that make it even",
        )


@rule()
def key_value_heads_divide_the_heads(context: RuleContext) -> Iterator[Finding]:
    """Every key-value head serves the same number of attention heads (Ainslie et al. 2023)."""
    sizes = intact_architecture(context)
    if sizes is None or sizes.num_attention_heads % sizes.num_key_value_heads == 0:
        return
    yield Finding(
        f"{_MODEL}.numKeyValueHeads",
        f"numAttentionHeads {sizes.num_attention_heads} is not divisible by numKeyValueHeads "
        f"{sizes.num_key_value_heads}; write {_nearest_divisors(sizes.num_attention_heads, sizes.num_key_value_heads)}",
    )


def _nearest_divisors(number: int, wanted: int) -> str:
    """Return the divisors of `number` on both sides of `wanted`, in words."""
    divisors = [divisor for divisor in range(1, min(number, 100_000) + 1) if number % divisor == 0]
    below = [divisor for divisor in divisors if divisor < wanted]
    above = [divisor for divisor in divisors if divisor > wanted]
    return " or ".join(str(divisor) for divisor in (*below[-1:], *above[:1]))


@rule("spec.objective.type", "spec.objective.rate")
def rate_has_a_meaning(context: RuleContext) -> Iterator[Finding]:
    """A rate belongs to objectives that change a share of the samples or tokens."""
    objective = context.spec.objective
    if objective.rate is not None and objective.type in ("causal-lm", "prefix-lm"):
        yield Finding("spec.objective.rate", f"has no meaning with type: {objective.type}; remove it")


@rule("spec.objective.type", "spec.objective.sentencePairs")
def sentence_pairs_need_masking(context: RuleContext) -> Iterator[Finding]:
    """Sentence pairs are joined with masked language modelling."""
    objective = context.spec.objective
    if objective.sentence_pairs is not None and objective.type != "masked-lm":
        yield Finding(
            "spec.objective.sentencePairs",
            f"does not go with type: {objective.type}; remove it, or write type: masked-lm",
        )
