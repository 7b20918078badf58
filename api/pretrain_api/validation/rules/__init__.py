"""Rules about several fields at once, by topic. Importing a topic registers its rules."""

from pretrain_api.validation.rules import (
    batch,
    data,
    jobs,
    learning_rate,
    mixture,
    model,
    names,
    parallelism,
    pods,
    records,
    storage,
    tokenizer,
)
from pretrain_api.validation.rules.registry import RULES, RuleContext, run_rules

TOPICS = (
    jobs,
    names,
    storage,
    data,
    mixture,
    tokenizer,
    model,
    batch,
    parallelism,
    learning_rate,
    records,
    pods,
)

__all__ = ["RULES", "TOPICS", "RuleContext", "run_rules"]
