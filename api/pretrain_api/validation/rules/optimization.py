"""Optimiser, evaluation, checkpoints and stability: values that make sense together."""

from __future__ import annotations

from collections.abc import Iterator

from pretrain_api.problems import Finding
from pretrain_api.quantities import format_tokens
from pretrain_api.validation.rules.registry import RuleContext, rule

_OPTIMIZER = "spec.training.optimizer"
_EVALUATION = "spec.training.evaluation"


@rule(f"{_OPTIMIZER}.eps")
def eps_is_small(context: RuleContext) -> Iterator[Finding]:
    """The term only keeps the denominator from zero."""
    if context.training is not None and (eps := context.training.optimizer.eps) >= 1e-2:
        yield Finding(f"{_OPTIMIZER}.eps", f"{eps:g} would drown the gradient; write a small number, such as 1e-8")


@rule(f"{_OPTIMIZER}.weightDecay")
def weight_decay_is_sane(context: RuleContext) -> Iterator[Finding]:
    """Documented values lie between 0.01 and 0.1."""
    if context.training is not None and (decay := context.training.optimizer.weight_decay) > 1:
        yield Finding(
            f"{_OPTIMIZER}.weightDecay", f"{decay:g} would pull the weights to zero; write at most 1, such as 0.1"
        )


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


@rule("spec.stability.spike.threshold")
def threshold_is_above_noise(context: RuleContext) -> Iterator[Finding]:
    """Below one deviation every third step of a healthy run is a spike."""
    threshold = context.spec.stability.spike.threshold
    if threshold < 1:
        yield Finding(
            "spec.stability.spike.threshold", f"{threshold:g} deviations are noise; write at least 1, such as 6"
        )
