"""The mixture: weights of the sources, and how they change over training."""

from __future__ import annotations

from collections.abc import Iterator

from pretrain_api.problems import Finding, child_path, shown
from pretrain_api.quantities import format_tokens
from pretrain_api.spec.data import Source, TokenizedSource
from pretrain_api.validation.rules.registry import RuleContext, rule
from pretrain_api.validation.suggestions import did_you_mean

_CURRICULUM = "spec.data.curriculum"


def named_sources(context: RuleContext) -> list[tuple[str, Source | TokenizedSource]]:
    """Return sources and tokenized sources with their paths."""
    data = context.spec.data
    return [
        *((f"spec.data.sources[{index}]", source) for index, source in enumerate(data.sources)),
        *((f"spec.data.tokenized[{index}]", source) for index, source in enumerate(data.tokenized)),
    ]


@rule()
def names_are_unique(context: RuleContext) -> Iterator[Finding]:
    """A source is known by its name: in files, weights and the report."""
    seen: dict[str, str] = {}
    for path, source in named_sources(context):
        if not context.intact(f"{path}.name"):
            continue
        if source.name in seen:
            yield Finding(
                f"{path}.name", f"{shown(source.name)} is the name of {seen[source.name]}, too; give each its own"
            )
        seen.setdefault(source.name, path)


@rule("spec.data.sources[].weight", "spec.data.tokenized[].weight")
def weights_are_complete(context: RuleContext) -> Iterator[Finding]:
    """All sources have weights or none has: a share can't be compared with a size."""
    sources = named_sources(context)
    weights = [source.weight for _, source in sources]
    if all(weight is None for weight in weights):
        return
    for path, source in sources:
        if source.weight is None:
            yield Finding(
                f"{path}.weight",
                "is missing while other sources have one; write one for each source or for none",
            )
    if all(weight == 0 for weight in weights):
        part = sources[0][0].partition("[")[0]
        yield Finding(part, "the weights are all zero; give at least one source a weight above 0")


@rule(_CURRICULUM)
def phases_in_order(context: RuleContext) -> Iterator[Finding]:
    """The first phase starts the run, each other one after the one before."""
    phases = context.spec.data.curriculum
    if phases and phases[0].from_ != 0:
        yield Finding(f"{_CURRICULUM}[0].from", f"the first phase starts at {format_tokens(phases[0].from_)}; write 0")
    for index in range(1, len(phases)):
        before, start = phases[index - 1].from_, phases[index].from_
        if start <= before:
            yield Finding(
                f"{_CURRICULUM}[{index}].from",
                f"{format_tokens(start)} is not after the phase before it, which starts at {format_tokens(before)}; "
                f"write more than {format_tokens(before)}, in ascending order",
            )


@rule(_CURRICULUM, "spec.training.tokens")
def phases_within_the_run(context: RuleContext) -> Iterator[Finding]:
    """A phase that starts after the end would never come."""
    if context.training is None:
        return
    for index, phase in enumerate(context.spec.data.curriculum[1:], start=1):
        if phase.from_ >= context.training.tokens:
            yield Finding(
                f"{_CURRICULUM}[{index}].from",
                f"the phase starts at {format_tokens(phase.from_)}, but training ends at "
                f"{format_tokens(context.training.tokens)}; write less, or raise spec.training.tokens",
            )


@rule(_CURRICULUM, "spec.data.sources[].name", "spec.data.tokenized[].name")
def phases_name_sources(context: RuleContext) -> Iterator[Finding]:
    """Weights belong to sources of the job, and some source has one."""
    names = [source.name for _, source in named_sources(context)]
    for index, phase in enumerate(context.spec.data.curriculum):
        path = f"{_CURRICULUM}[{index}].weights"
        for name in phase.weights:
            if name not in names and names:
                yield Finding(child_path(path, name), f"there is no source {shown(name)}; {did_you_mean(name, names)}")
        if not any(phase.weights.values()):
            yield Finding(path, "the weights are all zero; give at least one source a weight above 0")
