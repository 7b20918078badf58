"""Filters with models: each has exactly one model, and a threshold to judge by."""

from __future__ import annotations

from collections.abc import Iterator

from pretrain_api.problems import Finding
from pretrain_api.spec.filters import Classifier, PerplexityFilter
from pretrain_api.validation.rules.registry import RuleContext, rule

_CLEAN = "spec.data.clean"
_PERPLEXITY = f"{_CLEAN}.perplexity"
_TOXICITY = f"{_CLEAN}.toxicity"
_CLUSTERS = f"{_CLEAN}.clusters"


@rule(f"{_PERPLEXITY}.train", f"{_PERPLEXITY}.uri")
def perplexity_has_one_model(context: RuleContext) -> Iterator[Finding]:
    """The n-gram model is trained or given."""
    perplexity = context.spec.data.clean.perplexity
    if perplexity is not None:
        yield from _one_model(_PERPLEXITY, perplexity)


@rule(f"{_PERPLEXITY}.min", f"{_PERPLEXITY}.max", f"{_PERPLEXITY}.maxPercentile")
def perplexity_has_thresholds(context: RuleContext) -> Iterator[Finding]:
    """Perplexities without a threshold would keep everything."""
    perplexity = context.spec.data.clean.perplexity
    if perplexity is None:
        return
    least, most = perplexity.min, perplexity.max
    if least is None and most is None and perplexity.max_percentile is None:
        yield Finding(
            _PERPLEXITY, "there is no threshold; write min, max or maxPercentile, for example maxPercentile: 60"
        )
    if least is not None and most is not None and least > most:
        yield Finding(f"{_PERPLEXITY}.min", f"{least:g} is more than max {most:g}: nothing would be left; write less")


@rule()
def classifiers_have_one_model(context: RuleContext) -> Iterator[Finding]:
    """A classifier is trained or given, and a given one has a label to look for."""
    clean = context.spec.data.clean
    toxic = clean.toxicity.classifier if clean.toxicity else None
    for path, classifier in ((f"{_CLEAN}.quality", clean.quality), (f"{_TOXICITY}.classifier", toxic)):
        if classifier is None or not context.intact(path):
            continue
        yield from _one_model(path, classifier)
        if classifier.uri is not None and classifier.label is None:
            yield Finding(
                f"{path}.label", "a given model has several labels; write the one to look for, such as __label__hq"
            )
        if classifier.train is not None and classifier.label is not None:
            yield Finding(f"{path}.label", "a trained classifier has no labels; remove it")


@rule(f"{_TOXICITY}.words", f"{_TOXICITY}.classifier")
def toxicity_is_found_somehow(context: RuleContext) -> Iterator[Finding]:
    """Toxic documents are found by words or a classifier."""
    toxicity = context.spec.data.clean.toxicity
    if toxicity is not None and not toxicity.words and toxicity.classifier is None:
        yield Finding(_TOXICITY, "there is nothing to find toxic text by; write words: [list.txt], or classifier")


@rule(f"{_CLUSTERS}.maxDocuments", f"{_CLUSTERS}.maxShare")
def clusters_have_a_cap(context: RuleContext) -> Iterator[Finding]:
    """Clusters without a cap would keep everything."""
    clusters = context.spec.data.clean.clusters
    if clusters is not None and clusters.max_documents is None and clusters.max_share is None:
        yield Finding(_CLUSTERS, "there is no cap; write maxShare or maxDocuments, for example maxShare: 0.05")


def _one_model(path: str, part: PerplexityFilter | Classifier) -> Iterator[Finding]:
    if part.train is None and part.uri is None:
        yield Finding(path, "there is no model; write train or uri")
    if part.train is not None and part.uri is not None:
        yield Finding(path, "train and uri are given, but there is one model; keep one of them")
