"""Evaluation and checkpoints: distances that make sense together."""

from __future__ import annotations

from collections.abc import Iterator

from pretrain_api.objectives import kind_of_family
from pretrain_api.presets import architecture
from pretrain_api.problems import Finding, shown
from pretrain_api.quantities import format_tokens
from pretrain_api.validation.rules.registry import RuleContext, rule

_EVALUATION = "spec.training.evaluation"


@rule(f"{_EVALUATION}.everyTokens", "spec.training.tokens")
def evaluation_within_the_run(context: RuleContext) -> Iterator[Finding]:
    """An evaluation that is due after the end never happens."""
    training = context.training
    distance = training.evaluation.every_tokens if training else None
    if training is not None and distance is not None and distance > training.tokens:
        yield Finding(
            f"{_EVALUATION}.everyTokens",
            f"{format_tokens(distance)} is longer than the whole training of {format_tokens(training.tokens)}; write "
            "less, or leave it out: there is an evaluation at the end",
        )


@rule(f"{_EVALUATION}.multipleChoice")
def files_of_questions_differ_in_name(context: RuleContext) -> Iterator[Finding]:
    """Results are told apart by the names of the files."""
    asked = context.training.evaluation.multiple_choice if context.training else ()
    first: dict[str, int] = {}
    for index, each in enumerate(asked):
        if each.name in first:
            yield Finding(
                f"{_EVALUATION}.multipleChoice[{index}].name",
                f"{shown(each.name)} is the name of {_EVALUATION}.multipleChoice[{first[each.name]}], too; give each "
                "file its own",
            )
        first.setdefault(each.name, index)


@rule(f"{_EVALUATION}.multipleChoice", "spec.model")
def questions_need_a_decoder(context: RuleContext) -> Iterator[Finding]:
    """Only a decoder says how likely an answer is after a question."""
    asked = context.training.evaluation.multiple_choice if context.training else ()
    model = context.spec.model
    if not asked or model is None:
        return
    try:
        family = architecture(model).family
    except (KeyError, ValueError):
        return  # told elsewhere
    if kind_of_family(family) != "decoder":
        yield Finding(
            f"{_EVALUATION}.multipleChoice",
            f"{shown(family)} is no decoder, and gives answers no probability; remove it",
        )


@rule("spec.checkpoint.everySteps", "spec.checkpoint.everyMinutes")
def checkpoints_are_saved(context: RuleContext) -> Iterator[Finding]:
    """Without checkpoints nothing survives a restart."""
    checkpoint = context.spec.checkpoint
    if checkpoint.every_steps is None and checkpoint.every_minutes is None:
        yield Finding(
            "spec.checkpoint", "everySteps and everyMinutes are both null: nothing would be saved; set one of them"
        )


@rule("spec.checkpoint.everySteps", "spec.checkpoint.keepEverySteps")
def kept_checkpoints_exist(context: RuleContext) -> Iterator[Finding]:
    """A checkpoint can only stay if it is saved at that step."""
    checkpoint = context.spec.checkpoint
    every, keep = checkpoint.every_steps, checkpoint.keep_every_steps
    if keep is None:
        return
    if every is None:
        yield Finding(
            "spec.checkpoint.keepEverySteps", "has no meaning without everySteps; write everySteps, or remove it"
        )
    elif keep % every:
        right = max(1, round(keep / every)) * every
        yield Finding(
            "spec.checkpoint.keepEverySteps",
            f"{keep} is not a multiple of everySteps {every}, so that those checkpoints are not saved; write {right}",
        )
