"""The optimiser: settings that it has, and a ZeRO stage that leaves it what it looks at."""

from __future__ import annotations

from collections.abc import Iterator

from pretrain_api.problems import Finding
from pretrain_api.validation.rules.registry import RuleContext, rule

_OPTIMIZER = "spec.training.optimizer"
WITH_BETAS = ("adamw", "adam", "lion", "muon")
WITH_MOMENTUM = ("sgd", "normalized-gradient", "muon")
WHOLE_MATRICES = ("adafactor", "muon")


@rule(_OPTIMIZER)
def optimizer_has_the_setting(context: RuleContext) -> Iterator[Finding]:
    """A setting belongs to some optimisers."""
    optimizer = context.training.optimizer if context.training else None
    if optimizer is None:
        return
    for name, value, types in (
        ("betas", optimizer.betas, WITH_BETAS),
        ("momentum", optimizer.momentum, WITH_MOMENTUM),
    ):
        if value is not None and optimizer.type not in types:
            choices = ", ".join(types[:-1])
            yield Finding(
                f"{_OPTIMIZER}.{name}",
                f"has no meaning with type: {optimizer.type}; remove it, or write type: {choices} or {types[-1]}",
            )


@rule(_OPTIMIZER, "spec.training.parallelism.zero")
def optimizer_sees_whole_matrices(context: RuleContext) -> Iterator[Finding]:
    """ZeRO gives each rank a stretch of flattened parameters, which has no rows and columns."""
    training = context.training
    if training is None or training.optimizer.type not in WHOLE_MATRICES or training.parallelism.zero == 0:
        return
    yield Finding(
        "spec.training.parallelism.zero",
        f"ZeRO {training.parallelism.zero} divides the matrices that {training.optimizer.type} looks at as a whole; "
        "write zero: 0, or another spec.training.optimizer.type",
    )
