"""The model: a known preset or all sizes, and sizes that fit each other."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic.alias_generators import to_camel

from pretrain_api.presets import (
    FIELDS_OF_FAMILY,
    PRESETS,
    REQUIRED_WITHOUT_PRESET,
    ROTARY_FAMILIES,
    Architecture,
    architecture,
    family_of,
    required_sizes,
)
from pretrain_api.problems import Finding, shown
from pretrain_api.spec.model import Model
from pretrain_api.validation.rules.registry import RuleContext, rule
from pretrain_api.validation.suggestions import closest

_MODEL = "spec.model"
_SIZES = tuple(
    f"{_MODEL}.{to_camel(name)}"
    for name in (
        "preset",
        *REQUIRED_WITHOUT_PRESET,
        "num_key_value_heads",
        "head_dim",
        "moe_intermediate_size",
        "num_local_experts",
        "num_experts_per_tok",
        "first_k_dense_replace",
        "n_group",
        "topk_group",
        "qk_rope_head_dim",
    )
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
            f"{shown(preset)} is not a known preset; {hint}'pretrain presets' lists them; name one, or leave it out "
            f"and write {', '.join(map(to_camel, REQUIRED_WITHOUT_PRESET))}",
        )


@rule(f"{_MODEL}.preset")
def sizes_without_preset(context: RuleContext) -> Iterator[Finding]:
    """Without a preset the sizes have to be given."""
    model = context.spec.model
    if model is None or model.preset is not None:
        return
    for name in required_sizes(family_of(model)):
        path = f"{_MODEL}.{to_camel(name)}"
        if getattr(model, name) is None and context.intact(path):
            yield Finding(path, "is missing; a model without a preset needs it: write it, or write preset: llama-7b")


@rule(f"{_MODEL}.preset", f"{_MODEL}.family")
def preset_is_of_the_family(context: RuleContext) -> Iterator[Finding]:
    """A preset says its family itself."""
    model = context.spec.model
    if model is None or model.family is None or model.preset not in PRESETS:
        return
    family = PRESETS[model.preset].family
    if model.family != family:
        yield Finding(
            f"{_MODEL}.family", f"preset {model.preset} is of the family {family}, not {model.family}; remove family"
        )


@rule(f"{_MODEL}.preset", f"{_MODEL}.family")
def fields_belong_to_the_family(context: RuleContext) -> Iterator[Finding]:
    """A family has its parts, and no others."""
    model = context.spec.model
    family = family_of(model) if model else None
    if model is None or family is None:
        return
    for name in Model.model_fields:
        if name in ("preset", "family", *FIELDS_OF_FAMILY[family]) or getattr(model, name) is None:
            continue
        fitting = [other for other, names in FIELDS_OF_FAMILY.items() if name in names]
        yield Finding(
            f"{_MODEL}.{to_camel(name)}",
            f"has no meaning in the family {family}; remove it, or write family: {' or '.join(fitting)}",
        )


def intact_architecture(context: RuleContext) -> Architecture | None:
    """Return the model's architecture; None where it isn't known."""
    model = context.spec.model
    if model is None or not context.intact(*_SIZES) or not _is_complete(model):
        return None
    return architecture(model)


def _is_complete(model: Model) -> bool:
    if model.preset is not None:
        return model.preset in PRESETS and model.family in (None, PRESETS[model.preset].family)
    return all(getattr(model, name) is not None for name in required_sizes(family_of(model)))


@rule()
def heads_divide_the_width(context: RuleContext) -> Iterator[Finding]:
    """A head is hiddenSize / numAttentionHeads wide unless its size is given; rotary positions need it even."""
    sizes = intact_architecture(context)
    if sizes is None:
        return
    assert context.spec.model is not None
    given = context.spec.model.head_dim is not None
    if not given and not _published_head(context.spec.model) and sizes.hidden_size % sizes.num_attention_heads:
        free = ", or write headDim" if "head_dim" in FIELDS_OF_FAMILY[sizes.family] else ""
        yield Finding(
            f"{_MODEL}.numAttentionHeads",
            f"hiddenSize {sizes.hidden_size} is not divisible by numAttentionHeads {sizes.num_attention_heads}; write "
            f"{_nearest_divisors(sizes.hidden_size, sizes.num_attention_heads)}{free}",
        )
    elif sizes.family in ROTARY_FAMILIES and not sizes.alibi and (sizes.rotary_size % 2 or not sizes.rotary_size):
        whole = sizes.rotary_size == sizes.head_dim
        turned = f"a head of {sizes.head_dim}" if whole else f"{sizes.rotary_size} elements of a head"
        yield Finding(
            f"{_MODEL}.{'headDim' if given else 'numAttentionHeads'}",
            f"{turned} cannot be rotated (RoPE turns pairs); write sizes that make {'it' if whole else 'them'} even",
        )


def _published_head(model: Model) -> bool:
    """Return whether a preset says the size of its heads, as those of T5 do."""
    return model.preset is not None and model.hidden_size is None and model.num_attention_heads is None


@rule()
def feed_forward_is_as_wide_as_exports_say(context: RuleContext) -> Iterator[Finding]:
    """BloomConfig has no field for it: whoever reads an export takes four times the width."""
    sizes = intact_architecture(context)
    if sizes is None or sizes.family != "bloom" or sizes.intermediate_size == 4 * sizes.hidden_size:
        return
    yield Finding(
        f"{_MODEL}.intermediateSize",
        f"{sizes.intermediate_size} is not 4 * hiddenSize, which the family bloom always has; write "
        f"{4 * sizes.hidden_size}",
    )


@rule(f"{_MODEL}.maxPositionEmbeddings", "spec.training.sequenceLength")
def positions_do_for_the_sequences(context: RuleContext) -> Iterator[Finding]:
    """Where positions are learned, each of a sequence has its row."""
    sizes = intact_architecture(context)
    if sizes is None or context.training is None or sizes.max_position_embeddings is None:
        return
    length = context.training.sequence_length
    if sizes.max_position_embeddings < length:
        yield Finding(
            f"{_MODEL}.maxPositionEmbeddings",
            f"{sizes.max_position_embeddings} learned positions are fewer than spec.training.sequenceLength {length}; "
            f"write {length} or more, or shorter sequences",
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
