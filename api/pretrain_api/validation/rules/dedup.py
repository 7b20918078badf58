"""Deduplication: options that go together."""

from __future__ import annotations

from collections.abc import Iterator

from pretrain_api.problems import Finding
from pretrain_api.validation.rules.registry import RuleContext, rule

_DEDUP = "spec.data.dedup"
_NEAR = f"{_DEDUP}.near"


@rule(f"{_NEAR}.method", f"{_NEAR}.verify")
def verification_is_of_minhash(context: RuleContext) -> Iterator[Finding]:
    """Candidates of SimHash are always compared, by the bits they differ in."""
    near = context.spec.data.dedup.near
    if near is not None and near.method == "simhash" and near.verify:
        yield Finding(
            f"{_NEAR}.verify", "simhash compares all candidates by maxDistance already; remove verify, or write minhash"
        )


@rule(f"{_DEDUP}.keep", "spec.data.clean.quality")
def the_best_has_a_score(context: RuleContext) -> Iterator[Finding]:
    """Documents are compared by the scores of a classifier, which there has to be."""
    data = context.spec.data
    if data.dedup.keep == "quality" and data.clean.quality is None:
        yield Finding(
            f"{_DEDUP}.keep",
            "quality is the score of a classifier, and there is none; write clean.quality (minScore: 0.0 removes "
            "nothing), or keep: longest",
        )
