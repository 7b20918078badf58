"""Rules of filters and of the models they read: each has one, something to judge by, and a threshold that leaves
something."""

from __future__ import annotations

from pydantic.alias_generators import to_camel

from pretrain_api.cel.rule import READABLE, STAYS_INSIDE, CelRule, count, language_code, not_more
from pretrain_api.spec.filters import MetricThresholds

_CLEAN = "spec.data.clean"
_ONE_MODEL = CelRule(f"{count('train', 'uri')} == 1", "a filter has one model; write train or uri")
_CLASSIFIER = (
    _ONE_MODEL,
    CelRule(
        "has(self.uri) == has(self.label)",
        "a given model has labels, a trained one none; write label beside uri only",
    ),
)
_ADDRESS = (STAYS_INSIDE, READABLE)

FILTER_RULES: dict[str, tuple[CelRule, ...]] = {
    _CLEAN: (
        not_more("minCharacters", "maxCharacters"),
        not_more("minWords", "maxWords"),
        not_more("minMeanWordLength", "maxMeanWordLength"),
    ),
    **{f"{_CLEAN}.metrics.{to_camel(name)}": (not_more("min", "max"),) for name in MetricThresholds.model_fields},
    f"{_CLEAN}.language.allow[]": (language_code(),),
    f"{_CLEAN}.language.uri": _ADDRESS,
    f"{_CLEAN}.quality": _CLASSIFIER,
    f"{_CLEAN}.quality.uri": _ADDRESS,
    f"{_CLEAN}.quality.train.positive[]": _ADDRESS,
    f"{_CLEAN}.quality.train.negative[]": _ADDRESS,
    f"{_CLEAN}.perplexity": (
        _ONE_MODEL,
        CelRule(
            "has(self.min) || has(self.max) || has(self.maxPercentile)",
            "there is no threshold; write min, max or maxPercentile, for example maxPercentile: 60",
        ),
        not_more("min", "max"),
    ),
    f"{_CLEAN}.perplexity.uri": _ADDRESS,
    f"{_CLEAN}.perplexity.train.on[]": _ADDRESS,
    f"{_CLEAN}.clusters": (
        CelRule(
            "has(self.maxDocuments) || has(self.maxShare)",
            "there is no cap; write maxShare or maxDocuments, for example maxShare: 0.05",
        ),
    ),
    f"{_CLEAN}.clusters.model": _ADDRESS,
    f"{_CLEAN}.toxicity": (
        CelRule(
            "(has(self.words) && size(self.words) > 0) || has(self.classifier)",
            "there is nothing to find toxic text by; write words: [list.txt], or classifier",
        ),
    ),
    f"{_CLEAN}.toxicity.words[]": _ADDRESS,
    f"{_CLEAN}.toxicity.classifier": _CLASSIFIER,
    f"{_CLEAN}.toxicity.classifier.uri": _ADDRESS,
    f"{_CLEAN}.toxicity.classifier.train.positive[]": _ADDRESS,
    f"{_CLEAN}.toxicity.classifier.train.negative[]": _ADDRESS,
    "spec.data.dedup.semantic.model": _ADDRESS,
}
