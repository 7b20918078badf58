"""The learning rate's schedule fits into the run."""

from __future__ import annotations

from collections.abc import Iterator

from pretrain_api.problems import Finding
from pretrain_api.quantities import format_tokens
from pretrain_api.validation.rules.registry import RuleContext, rule

_RATE = "spec.training.learningRate"


@rule(f"{_RATE}.warmupTokens", "spec.training.tokens")
def warmup_within_the_run(context: RuleContext) -> Iterator[Finding]:
    """The warm-up ends before training does."""
    training = context.training
    if training is None or training.learning_rate.warmup_tokens < training.tokens:
        return
    warmup, total = training.learning_rate.warmup_tokens, training.tokens
    yield Finding(
        f"{_RATE}.warmupTokens",
        f"a warm-up of {format_tokens(warmup)} is not shorter than the whole training of {format_tokens(total)}; "
        f"write less than {format_tokens(total)} (0.1 % to 1 % is usual: {format_tokens(max(1, total // 200))})",
    )


@rule(f"{_RATE}.decayTokens", "spec.training.tokens")
def decay_within_the_run(context: RuleContext) -> Iterator[Finding]:
    """The decay's end isn't after that of training."""
    training = context.training
    end = training.learning_rate.decay_tokens if training else None
    if training is not None and end is not None and end > training.tokens:
        yield Finding(
            f"{_RATE}.decayTokens",
            f"the decay ends at {format_tokens(end)}, after the end of training at {format_tokens(training.tokens)}; "
            f"write at most {format_tokens(training.tokens)}, or leave it out",
        )


@rule(f"{_RATE}.decayTokens", f"{_RATE}.warmupTokens")
def decay_after_warmup(context: RuleContext) -> Iterator[Finding]:
    """The decay, counted from the start, ends after the warm-up."""
    rate = context.training.learning_rate if context.training else None
    if rate is not None and rate.decay_tokens is not None and rate.decay_tokens <= rate.warmup_tokens:
        yield Finding(
            f"{_RATE}.decayTokens",
            f"the decay ends at {format_tokens(rate.decay_tokens)}, before the warm-up does at "
            f"{format_tokens(rate.warmup_tokens)}; it is counted from the start of training: write more",
        )


@rule(f"{_RATE}.decayTokens", f"{_RATE}.decay")
def constant_has_no_decay(context: RuleContext) -> Iterator[Finding]:
    """A constant learning rate has no decay to end."""
    rate = context.training.learning_rate if context.training else None
    if rate is not None and rate.decay == "constant" and rate.decay_tokens is not None:
        yield Finding(f"{_RATE}.decayTokens", "has no meaning with decay: constant; remove it, or write decay: cosine")
