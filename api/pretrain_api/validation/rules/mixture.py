"""The mixture: weights of the sources, and how they change over training."""

from __future__ import annotations

from collections.abc import Iterator

from pretrain_api.mixtures import MIXTURES, parts_by_source
from pretrain_api.problems import Finding, child_path, shown
from pretrain_api.quantities import format_tokens
from pretrain_api.spec.data import Source, TokenizedSource
from pretrain_api.validation.rules.registry import RuleContext, rule
from pretrain_api.validation.suggestions import did_you_mean

_CURRICULUM = "spec.data.curriculum"
_MIXTURE = "spec.data.mixture"


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
    if all(weight is None for weight in weights) or context.spec.data.mixture is not None:
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


@rule("spec.data.mixture", "spec.data.sources[].name", "spec.data.tokenized[].name")
def mixture_names_sources(context: RuleContext) -> Iterator[Finding]:
    """Every source of the job has its part in the mixture, and each part at most one source."""
    mixture, sources = context.spec.data.mixture, named_sources(context)
    if mixture is None:
        return
    parts, names = list(MIXTURES[mixture.preset]), [source.name for _, source in sources]
    for part, name in mixture.sources.items():
        path = child_path(f"{_MIXTURE}.sources", part)
        if part not in parts:
            yield Finding(path, f"{mixture.preset} has no {shown(part)}; {did_you_mean(part, parts)}")
        elif names and name not in names:
            yield Finding(path, f"there is no source {shown(name)}; {did_you_mean(name, names)}")
    known = parts_by_source(mixture)
    for path, source in sources:
        if source.name not in known:
            yield Finding(
                f"{path}.name",
                f"{shown(source.name)} is no part of {mixture.preset}; write under {_MIXTURE}.sources for which of "
                f"{', '.join(parts[:7])}{', …' if len(parts) > 7 else ''} it stands, as {{{parts[0]}: {source.name}}}",
            )
        if source.weight is not None and context.intact(f"{path}.weight"):
            yield Finding(f"{path}.weight", f"comes from mixture {mixture.preset}; remove it, or the mixture")


@rule("spec.data.mixture", _CURRICULUM)
def mixture_or_curriculum(context: RuleContext) -> Iterator[Finding]:
    """A curriculum replaces all weights."""
    if context.spec.data.mixture is not None and context.spec.data.curriculum:
        yield Finding(_MIXTURE, "has no effect beside curriculum, which has the weights; remove one of them")
