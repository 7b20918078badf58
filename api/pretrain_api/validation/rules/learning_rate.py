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


@rule(_RATE)
def settings_fit_the_shape(context: RuleContext) -> Iterator[Finding]:
    """A rate that never ends has no end, and only wsd has a last part."""
    rate = context.training.learning_rate if context.training else None
    if rate is None:
        return
    if rate.decay in ("constant", "inverse-sqrt") and rate.decay_tokens is not None:
        yield Finding(
            f"{_RATE}.decayTokens", f"has no meaning with decay: {rate.decay}; remove it, or write decay: cosine"
        )
    for name, value in (("annealTokens", rate.anneal_tokens), ("annealShape", rate.anneal_shape)):
        if value is not None and rate.decay != "wsd":
            yield Finding(f"{_RATE}.{name}", f"has no meaning with decay: {rate.decay}; remove it, or write decay: wsd")
    if rate.decay == "inverse-sqrt" and rate.warmup_tokens == 0:
        yield Finding(
            f"{_RATE}.warmupTokens",
            "is 0, and decay: inverse-sqrt counts in warm-ups; write its length (T5: 10,000 steps of the batch)",
        )


@rule(_RATE, "spec.training.tokens")
def annealing_after_warmup(context: RuleContext) -> Iterator[Finding]:
    """The last part of wsd comes after the warm-up."""
    training = context.training
    if training is None or training.learning_rate.decay != "wsd" or training.learning_rate.anneal_tokens is None:
        return
    rate = training.learning_rate
    end = rate.decay_tokens or training.tokens
    longest = end - rate.warmup_tokens
    if rate.anneal_tokens is not None and rate.anneal_tokens > longest > 0:
        yield Finding(
            f"{_RATE}.annealTokens",
            f"the last part of {format_tokens(rate.anneal_tokens)} would begin in the warm-up of "
            f"{format_tokens(rate.warmup_tokens)}; write at most {format_tokens(longest)}",
        )
