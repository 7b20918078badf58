"""Rules about several fields at once: each says which paths it reads and runs if none of them is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from pretrain_api.json_schema import FieldPath
from pretrain_api.problems import Finding, parse_path
from pretrain_api.spec.job import PretrainJob, PretrainJobSpec
from pretrain_api.spec.training import Training


@dataclass(frozen=True)
class RuleContext:
    """What a rule looks at."""

    job: PretrainJob
    broken: frozenset[FieldPath] = field(default_factory=frozenset)
    """Fields that are wrong on their own, and therefore not what their author meant."""
    authored: bool = True
    """The document is as a user wrote it; False: it comes from an API server."""

    @property
    def spec(self) -> PretrainJobSpec:
        """The job's specification."""
        return self.job.spec

    @property
    def training(self) -> Training | None:
        """`spec.training`."""
        return self.job.spec.training

    def intact(self, *paths: str) -> bool:
        """Return whether nothing at, above or below any of `paths` is wrong on its own; `[]` is any index."""
        if not self.broken:
            return True
        parsed = [parse_path(path) for path in paths]
        return not any(_overlap(path, broken) for path in parsed for broken in self.broken)


def _overlap(path: tuple[str | int | None, ...], broken: FieldPath) -> bool:
    return all(part in (None, other) for part, other in zip(path, broken, strict=False))


Check = Callable[[RuleContext], Iterable[Finding]]


@dataclass(frozen=True)
class Rule:
    """A check and the paths it reads."""

    reads: tuple[str, ...]
    check: Check


RULES: list[Rule] = []


def rule(*reads: str) -> Callable[[Check], Check]:
    """Register a check that reads the given paths; `[]` in a path stands for any index.

    A check of many items may leave the items out of `reads` and ask `RuleContext.intact` for each.
    """

    def register(check: Check) -> Check:
        RULES.append(Rule(reads, check))
        return check

    return register


def run_rules(context: RuleContext) -> list[Finding]:
    """Return what all rules find, in the order of the rules; the same finding once."""
    findings: dict[Finding, None] = {}
    for each in RULES:
        if context.intact(*each.reads):
            findings.update(dict.fromkeys(each.check(context)))
    return list(findings)
