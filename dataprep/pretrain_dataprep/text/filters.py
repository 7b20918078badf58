"""Filter rules as data: a metric, a bound, a reason. Presets name sets of them; the job overrides thresholds.

Thresholds of `gopher` are those of Rae et al. 2021 ("Scaling Language Models: Methods, Analysis & Insights from
Training Gopher"), appendix A1.1 and table A1; `basic` is the product's own, language-independent set.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from pretrain_api.names import Reason
from pretrain_api.spec.data import Clean
from pretrain_dataprep.errors import ConfigurationError
from pretrain_dataprep.text.metrics import FIRST_GOPHER_REPETITION_METRIC, Metric


@dataclass(frozen=True)
class Rule:
    """Keep documents whose metric is within the bounds; NaN (the metric says nothing about the document) passes."""

    metric: Metric
    too_small: str = ""
    """Reason for removal below `least`."""
    too_great: str = ""
    """Reason for removal above `greatest`."""
    least: float | None = None
    greatest: float | None = None
    languages: tuple[str, ...] = ()
    """The rule is for sources of these languages, and for those whose language isn't stated; empty: for all."""


def _length(least: float | None, greatest: float | None) -> Rule:
    return Rule(Metric.CHARACTERS, "too-short", "too-long", least, greatest)


def _words(least: float | None, greatest: float | None) -> Rule:
    return Rule(Metric.WORDS, "too-few-words", "too-many-words", least, greatest)


def _word_length(least: float | None, greatest: float | None) -> Rule:
    return Rule(Metric.MEAN_WORD_LENGTH, "words-too-short", "words-too-long", least, greatest)


def _symbols(greatest: float | None) -> tuple[Rule, Rule]:
    return (
        Rule(Metric.HASH_TO_WORD_RATIO, too_great="too-many-number-signs", greatest=greatest),
        Rule(Metric.ELLIPSIS_TO_WORD_RATIO, too_great="too-many-ellipses", greatest=greatest),
    )


def _repetition(greatest: float | None) -> Rule:
    return Rule(Metric.DUPLICATE_NGRAM_FRACTION, too_great="repeated-ngrams", greatest=greatest)


def _at_most(metric: Metric, reason: str, greatest: float) -> Rule:
    return Rule(metric, too_great=reason, greatest=greatest)


_GOPHER_REPETITION = (
    _at_most(Metric.DUPLICATE_LINE_FRACTION, "duplicate-lines", 0.30),
    _at_most(Metric.DUPLICATE_PARAGRAPH_FRACTION, "duplicate-paragraphs", 0.30),
    _at_most(Metric.DUPLICATE_LINE_CHARACTER_FRACTION, "duplicate-line-characters", 0.20),
    _at_most(Metric.DUPLICATE_PARAGRAPH_CHARACTER_FRACTION, "duplicate-paragraph-characters", 0.20),
    _at_most(Metric.TOP_2_GRAM_CHARACTER_FRACTION, "top-2-gram", 0.20),
    _at_most(Metric.TOP_3_GRAM_CHARACTER_FRACTION, "top-3-gram", 0.18),
    _at_most(Metric.TOP_4_GRAM_CHARACTER_FRACTION, "top-4-gram", 0.16),
    _at_most(Metric.DUPLICATE_5_GRAM_CHARACTER_FRACTION, "duplicate-5-grams", 0.15),
    _at_most(Metric.DUPLICATE_6_GRAM_CHARACTER_FRACTION, "duplicate-6-grams", 0.14),
    _at_most(Metric.DUPLICATE_7_GRAM_CHARACTER_FRACTION, "duplicate-7-grams", 0.13),
    _at_most(Metric.DUPLICATE_8_GRAM_CHARACTER_FRACTION, "duplicate-8-grams", 0.12),
    _at_most(Metric.DUPLICATE_9_GRAM_CHARACTER_FRACTION, "duplicate-9-grams", 0.11),
    _at_most(Metric.DUPLICATE_10_GRAM_CHARACTER_FRACTION, "duplicate-10-grams", 0.10),
)

PRESETS: dict[str, tuple[Rule, ...]] = {
    # An empty document is of no use to anybody.
    "none": (_length(1, None), _words(None, None), _word_length(None, None), *_symbols(None), _repetition(None)),
    "basic": (_length(100, 100_000), _words(None, None), _word_length(3, 15), *_symbols(0.1), _repetition(0.5)),
    "gopher": (
        _length(1, None),
        _words(50, 100_000),
        _word_length(3, 10),
        *_symbols(0.1),
        _at_most(Metric.BULLET_LINE_FRACTION, "bullet-lines", 0.90),
        _at_most(Metric.ELLIPSIS_LINE_FRACTION, "ellipsis-lines", 0.30),
        Rule(Metric.ALPHABETIC_WORD_FRACTION, too_small="too-few-alphabetic-words", least=0.80),
        Rule(Metric.STOP_WORDS, too_small="too-few-stop-words", least=2, languages=("en",)),
        _repetition(None),
        *_GOPHER_REPETITION,
    ),
}


def rules_for(clean: Clean, language: str | None) -> tuple[Rule, ...]:
    """Return the rules that hold for a source, with the job's thresholds in place of the preset's.

    Raises:
        ConfigurationError: The preset, or a filter that the job asks for, isn't available yet.
    """
    if clean.preset not in PRESETS:
        raise ConfigurationError(
            f"spec.data.clean.preset: {clean.preset} is not available yet; use {', '.join(PRESETS)}",
            Reason.NOT_AVAILABLE,
        )
    for name in ("language", "toxicity"):
        if getattr(clean, name) is not None:
            raise ConfigurationError(f"spec.data.clean.{name}: not available yet; leave it out", Reason.NOT_AVAILABLE)
    bounds = _overrides(clean)
    rules = (_bounded(rule, bounds.get(rule.metric, {})) for rule in PRESETS[clean.preset])
    applying = (rule for rule in rules if not rule.languages or language is None or language in rule.languages)
    return tuple(rule for rule in applying if rule.least is not None or rule.greatest is not None)


def _bounded(rule: Rule, bounds: dict[str, float]) -> Rule:
    return replace(rule, least=bounds.get("least", rule.least), greatest=bounds.get("greatest", rule.greatest))


def _overrides(clean: Clean) -> dict[Metric, dict[str, float]]:
    given = [
        (Metric.CHARACTERS, "least", clean.min_characters),
        (Metric.CHARACTERS, "greatest", clean.max_characters),
        (Metric.WORDS, "least", clean.min_words),
        (Metric.WORDS, "greatest", clean.max_words),
        (Metric.MEAN_WORD_LENGTH, "least", clean.min_mean_word_length),
        (Metric.MEAN_WORD_LENGTH, "greatest", clean.max_mean_word_length),
        (Metric.HASH_TO_WORD_RATIO, "greatest", clean.max_symbol_to_word_ratio),
        (Metric.ELLIPSIS_TO_WORD_RATIO, "greatest", clean.max_symbol_to_word_ratio),
        (Metric.DUPLICATE_NGRAM_FRACTION, "greatest", clean.max_duplicate_ngram_fraction),
    ]
    bounds: dict[Metric, dict[str, float]] = {}
    for metric, side, value in given:
        if value is not None:
            bounds.setdefault(metric, {})[side] = value
    return bounds


@dataclass(frozen=True)
class Verdicts:
    """What the rules say about a batch."""

    reasons: list[str]
    """Every reason there is, in the order of the rules."""
    codes: np.ndarray
    """int16, shape (documents,): index of the first reason for removal, -1: keep."""

    @property
    def kept(self) -> np.ndarray:
        """Bool, shape (documents,)."""
        return self.codes < 0


def wants_repetition(rules: Iterable[Rule]) -> tuple[bool, bool]:
    """Return whether the rules need (DUPLICATE_NGRAM_FRACTION, any of Gopher's repetition metrics)."""
    metrics = {rule.metric for rule in rules}
    gopher = any(metric >= FIRST_GOPHER_REPETITION_METRIC for metric in metrics)
    return Metric.DUPLICATE_NGRAM_FRACTION in metrics, gopher


def judge(metrics: np.ndarray, rules: tuple[Rule, ...]) -> Verdicts:
    """Apply the rules in order; the first that a document breaks is its reason for removal.

    Args:
        metrics: float64, shape (documents, len(Metric)).
        rules: As of `rules_for`.
    """
    reasons: list[str] = []
    codes = np.full(len(metrics), -1, np.int16)
    for rule in rules:
        column = metrics[:, rule.metric]
        for reason, broken in (
            (rule.too_small, column < rule.least if rule.least is not None else None),
            (rule.too_great, column > rule.greatest if rule.greatest is not None else None),
        ):
            if broken is not None:
                codes[broken & (codes < 0)] = len(reasons)
                reasons.append(reason)
    return Verdicts(reasons, codes)
