"""The objective: settings that have a meaning, a network that can learn it, a vocabulary with its special tokens."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic.alias_generators import to_camel

from pretrain_api.objectives import KINDS_OF_OBJECTIVE, ModelKind, kind_of_family, reserved_tokens, sample_shape
from pretrain_api.presets import family_of
from pretrain_api.problems import Finding
from pretrain_api.spec.objective import ObjectiveSettings
from pretrain_api.validation.rules.registry import RuleContext, rule

_OBJECTIVE = "spec.objective"
SETTINGS: dict[str, frozenset[str]] = {
    "causal-lm": frozenset(),
    "prefix-lm": frozenset(),
    "fill-in-the-middle": frozenset({"rate", "spm_rate"}),
    "span-corruption": frozenset({"rate", "mean_span_length"}),
    "denoising": frozenset({"rate", "noise", "mean_span_length"}),
    "mixture-of-denoisers": frozenset({"denoisers"}),
    "masked-lm": frozenset({"rate", "mask_unit", "mean_span_length", "sentence_pairs"}),
    "mixture": frozenset(),
}
"""Settings that have a meaning, by type."""
PACKED = ("causal-lm", "fill-in-the-middle")
NEVER_ZERO = ("span-corruption", "denoising", "masked-lm")
_BYTE_PIECES, _SPECIAL_PIECES = 256, 4


def _settings_of(context: RuleContext) -> Iterator[tuple[str, str, ObjectiveSettings]]:
    """Yield path, type and settings of the objective and of those in its mixture."""
    objective = context.spec.objective
    yield _OBJECTIVE, objective.type, objective
    for index, part in enumerate(objective.mixture):
        yield f"{_OBJECTIVE}.mixture[{index}]", part.type, part


@rule(_OBJECTIVE)
def settings_have_a_meaning(context: RuleContext) -> Iterator[Finding]:
    """A setting belongs to some types of objective."""
    for path, kind, settings in _settings_of(context):
        for name in ObjectiveSettings.model_fields:
            if getattr(settings, name) in (None, ()) or name in SETTINGS[kind]:
                continue
            fitting = [other for other, names in SETTINGS.items() if name in names]
            yield Finding(
                f"{path}.{to_camel(name)}",
                f"has no meaning with type: {kind}; remove it, or write type: {' or '.join(fitting)}",
            )


@rule(_OBJECTIVE)
def something_is_to_be_learnt(context: RuleContext) -> Iterator[Finding]:
    """Where nothing is hidden nothing is predicted."""
    for path, kind, settings in _settings_of(context):
        if kind in NEVER_ZERO and settings.rate in (0.0, 1.0):
            yield Finding(
                f"{path}.rate", f"{settings.rate} leaves nothing to predict or to read; write between 0 and 1"
            )


@rule(_OBJECTIVE)
def a_mixture_has_parts(context: RuleContext) -> Iterator[Finding]:
    """`mixture` and `type: mixture` go together."""
    objective = context.spec.objective
    if objective.type == "mixture" and not objective.mixture:
        yield Finding(
            f"{_OBJECTIVE}.mixture",
            "is missing; with type: mixture write the objectives, such as [{type: causal-lm}, {type: prefix-lm}]",
        )
    if objective.type != "mixture" and objective.mixture:
        yield Finding(f"{_OBJECTIVE}.mixture", f"has no meaning with type: {objective.type}; write type: mixture")


def model_kind(context: RuleContext) -> ModelKind | None:
    """Return what kind of network the job trains; None: there is none, or it isn't known."""
    model = context.spec.model
    if model is None or not context.intact("spec.model.preset", "spec.model.family"):
        return None
    family = family_of(model)
    return kind_of_family(family) if family else None


@rule(_OBJECTIVE)
def network_can_learn_it(context: RuleContext) -> Iterator[Finding]:
    """An encoder sees the whole text: it can't predict what comes next. A decoder has no gaps to fill."""
    kind = model_kind(context)
    if kind is None:
        return
    mixed = context.spec.objective.type == "mixture"
    for index, part in enumerate(context.spec.objective.parts):
        if kind not in KINDS_OF_OBJECTIVE[part.type]:
            path = f"{_OBJECTIVE}.mixture[{index}].type" if mixed else f"{_OBJECTIVE}.type"
            fitting = [name for name, kinds in KINDS_OF_OBJECTIVE.items() if kind in kinds]
            choices = f"{', '.join(fitting[:-1])} or {fitting[-1]}" if fitting[1:] else fitting[0]
            yield Finding(
                path,
                f"{part.type} needs {_with_article(KINDS_OF_OBJECTIVE[part.type])}, and the model is "
                f"{_with_article((kind,))}; write {choices}, or another spec.model.family",
            )


def _with_article(kinds: tuple[ModelKind, ...]) -> str:
    return " or ".join(f"{'an' if kind.startswith('e') else 'a'} {kind}" for kind in kinds)


@rule(_OBJECTIVE)
def documents_can_be_masked(context: RuleContext) -> Iterator[Finding]:
    """Documents are told apart where a decoder reads packed text as it is."""
    objective = context.spec.objective
    packed = all(part.type in PACKED for part in objective.parts)
    if objective.document_masking and not packed:
        yield Finding(
            f"{_OBJECTIVE}.documentMasking",
            f"does not go with type: {objective.type}; remove it, or write type: causal-lm or fill-in-the-middle",
        )


@rule(_OBJECTIVE)
def future_tokens_come_next(context: RuleContext) -> Iterator[Finding]:
    """Later tokens are predicted where the next one is."""
    objective, kind = context.spec.objective, model_kind(context)
    plain = all(part.type in PACKED for part in objective.parts)
    if objective.future_tokens and not (plain and kind in (None, "decoder")):
        yield Finding(
            f"{_OBJECTIVE}.futureTokens",
            "needs a decoder with type: causal-lm or fill-in-the-middle; remove it, or write these",
        )


@rule(_OBJECTIVE, "spec.training.sequenceLength")
def sequences_have_room(context: RuleContext) -> Iterator[Finding]:
    """Special tokens leave room for text."""
    kind = _learnable_kind(context)
    if kind is None or context.training is None:
        return
    length = context.training.sequence_length
    if _shape_error(context, kind, length):
        longer = next(size for size in (16, 32, 64, 128, 256, 512) if not _shape_error(context, kind, size))
        yield Finding(
            "spec.training.sequenceLength",
            f"{length} tokens have no room for text beside the objective's special tokens; write {longer} or more",
        )


def _learnable_kind(context: RuleContext) -> ModelKind | None:
    kind, parts = model_kind(context), context.spec.objective.parts
    return kind if kind and parts and all(kind in KINDS_OF_OBJECTIVE[part.type] for part in parts) else None


def _shape_error(context: RuleContext, kind: ModelKind, length: int) -> bool:
    try:
        sample_shape(context.spec.objective, kind, length)
    except ValueError:
        return True
    return False


@rule(_OBJECTIVE, "spec.training.sequenceLength", "spec.data.tokenizer.train", "spec.model.preset", "spec.model.family")
def vocabulary_holds_the_special_tokens(context: RuleContext) -> Iterator[Finding]:
    """A tokenizer that is trained here reserves the tokens that the objective needs, and still has some to learn."""
    kind, train = _learnable_kind(context), context.spec.data.tokenizer.train
    if kind is None or train is None or context.training is None:
        return
    length = context.training.sequence_length
    needed = len(reserved_tokens(context.spec.objective, kind, length))
    taken = (_BYTE_PIECES if train.byte_fallback else 0) + _SPECIAL_PIECES
    if needed and train.vocab_size <= taken + needed:
        yield Finding(
            "spec.data.tokenizer.train.vocabSize",
            f"{train.vocab_size} pieces leave no room beside {needed} special tokens of the objective in sequences of "
            f"{length} and {taken} others; write {2 * (taken + needed)} or more",
        )
