"""Rules about several fields at once, by topic. Importing a topic registers its rules."""

from pretrain_api.validation.rules import (
    augment,
    batch,
    data,
    dedup,
    experts,
    filters,
    jobs,
    learning_rate,
    mixture,
    model,
    names,
    objective,
    optimizer,
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
    dedup,
    filters,
    augment,
    mixture,
    tokenizer,
    model,
    experts,
    objective,
    batch,
    parallelism,
    optimizer,
    learning_rate,
    records,
    pods,
)

__all__ = ["RULES", "TOPICS", "RuleContext", "run_rules"]
