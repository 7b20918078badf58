"""Augmentation: sources of the job, and what each method needs, no more and no less."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from pydantic.alias_generators import to_camel

from pretrain_api.problems import Finding, shown
from pretrain_api.spec.augment import Augmentation
from pretrain_api.validation.rules.mixture import named_sources
from pretrain_api.validation.rules.registry import RuleContext, rule
from pretrain_api.validation.suggestions import did_you_mean

_AUGMENT = "spec.data.augment"
_NEEDS = {
    "synonyms": ("dictionary", "name a file: a word a line, with its synonyms after tabs"),
    "code-mix": ("partner", "name the other source"),
    "rewrite": ("command", "write what rewrites: it reads JSON strings, one a line, and writes one for each"),
}
_METHODS = {
    "dictionary": "synonyms",
    "rate": "synonyms",
    "partner": "code-mix",
    "command": "rewrite",
    "timeout_seconds": "rewrite",
}


def _entries(context: RuleContext) -> Iterator[tuple[str, Augmentation]]:
    for index, each in enumerate(context.spec.data.augment):
        yield f"{_AUGMENT}[{index}]", each


@rule("spec.data.sources[].name")
def augmented_sources_are_there(context: RuleContext) -> Iterator[Finding]:
    """Documents are taken from sources of the job."""
    names = [source.name for _, source in named_sources(context)]
    for path, each in _entries(context):
        for field in ("source", "partner"):
            name = getattr(each, field)
            if names and name is not None and name not in names and context.intact(f"{path}.{field}"):
                yield Finding(f"{path}.{field}", f"there is no source {shown(name)}; {did_you_mean(name, names)}")


@rule()
def methods_have_what_they_need(context: RuleContext) -> Iterator[Finding]:
    """A dictionary for synonyms, another source for code-mix, a program for rewrite; nothing that would be ignored."""
    for path, each in _entries(context):
        if not context.intact(path):
            continue
        field, remedy = _NEEDS.get(each.method, (None, ""))
        if field is not None and getattr(each, field) is None:
            yield Finding(f"{path}.{field}", f"is missing, and {each.method} needs it; {remedy}")
        for other, method in _METHODS.items():
            is_given = other in each.model_fields_set and getattr(each, other) != type(each).model_fields[other].default
            if is_given and method != each.method:
                yield Finding(
                    f"{path}.{to_camel(other)}", f"is for {method}, and has no effect on {each.method}; remove it"
                )


@rule()
def sources_are_mixed_with_others(context: RuleContext) -> Iterator[Finding]:
    """Two documents of one source are joined, not mixed."""
    for path, each in _entries(context):
        if each.partner == each.source and context.intact(f"{path}.partner", f"{path}.source"):
            yield Finding(
                f"{path}.partner",
                f"{shown(each.source)} is not mixed with itself; name another source, or write method: concatenate",
            )


@rule()
def augmentations_are_different(context: RuleContext) -> Iterator[Finding]:
    """What is made is known by its source and method."""
    seen: dict[str, str] = {}
    for path, each in _entries(context):
        if not context.intact(path):
            continue
        if each.name in seen:
            yield Finding(
                path, f"makes {each.name}, as {seen[each.name]} does; write one entry with the sum of their shares"
            )
        seen.setdefault(each.name, path)


@rule()
def commands_are_words(context: RuleContext) -> Iterator[Finding]:
    """A command is split into words as a shell does."""
    for path, each in _entries(context):
        if each.command is None or not context.intact(f"{path}.command"):
            continue
        try:
            words = shlex.split(each.command)
        except ValueError:
            words = []
        if not words:
            yield Finding(
                f"{path}.command",
                f"{shown(each.command)} is no command; write a program and its arguments, quotes in pairs",
            )
