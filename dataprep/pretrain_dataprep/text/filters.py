"""From the job's filter settings to rules, and from rules to verdicts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from pretrain_api.spec.data import Clean
from pretrain_dataprep.text.metrics import FIRST_GOPHER_REPETITION_METRIC, Metric
from pretrain_dataprep.text.presets import PRESETS, Filters, Rule

_Bounds = dict[Metric, dict[str, float]]


def filters_for(clean: Clean, language: str | None) -> Filters:
    """Return the rules that hold for a source, with the job's thresholds in place of the preset's."""
    preset = PRESETS[clean.preset]
    bounds = _overrides(clean) | _metric_bounds(clean)
    known = {rule.metric for rule in preset.rules + preset.final_rules}
    further = tuple(Rule(metric) for metric in sorted(bounds) if metric not in known)
    rules = preset.rules if preset.lines else preset.rules + further
    final_rules = preset.final_rules + further if preset.lines else ()
    return Filters(_applying(rules, bounds, language), preset.lines, _applying(final_rules, bounds, language))


def _applying(rules: Iterable[Rule], bounds: _Bounds, language: str | None) -> tuple[Rule, ...]:
    bounded = (_bounded(rule, bounds.get(rule.metric, {})) for rule in rules)
    applying = (rule for rule in bounded if not rule.languages or language is None or language in rule.languages)
    return tuple(rule for rule in applying if rule.least is not None or rule.greatest is not None)


def _bounded(rule: Rule, bounds: dict[str, float]) -> Rule:
    """Return the rule with the job's bounds, and with a reason for each."""
    name = rule.metric.name.lower().replace("_", "-")
    return replace(
        rule,
        least=bounds.get("least", rule.least),
        greatest=bounds.get("greatest", rule.greatest),
        too_small=rule.too_small or f"low-{name}",
        too_great=rule.too_great or f"high-{name}",
    )


def _overrides(clean: Clean) -> _Bounds:
    return _given(
        (Metric.CHARACTERS, clean.min_characters, clean.max_characters),
        (Metric.WORDS, clean.min_words, clean.max_words),
        (Metric.MEAN_WORD_LENGTH, clean.min_mean_word_length, clean.max_mean_word_length),
        (Metric.HASH_TO_WORD_RATIO, None, clean.max_symbol_to_word_ratio),
        (Metric.ELLIPSIS_TO_WORD_RATIO, None, clean.max_symbol_to_word_ratio),
        (Metric.DUPLICATE_NGRAM_FRACTION, None, clean.max_duplicate_ngram_fraction),
    )


def _metric_bounds(clean: Clean) -> _Bounds:
    given = ((name, getattr(clean.metrics, name)) for name in type(clean.metrics).model_fields)
    return _given(*((Metric[name.upper()], bounds.min, bounds.max) for name, bounds in given if bounds is not None))


def _given(*bounds: tuple[Metric, float | None, float | None]) -> _Bounds:
    sides = {
        metric: {side: value for side, value in (("least", least), ("greatest", greatest)) if value is not None}
        for metric, least, greatest in bounds
    }
    return {metric: values for metric, values in sides.items() if values}


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

    def by_document(self) -> list[str | None]:
        """Return the reason for removal of each document; None: it stays."""
        return [self.reasons[code] if code >= 0 else None for code in self.codes]


def wants_repetition(rules: Iterable[Rule]) -> tuple[bool, bool]:
    """Return whether the rules need (DUPLICATE_NGRAM_FRACTION, any of Gopher's repetition metrics)."""
    metrics = {rule.metric for rule in rules}
    gopher = any(metric >= FIRST_GOPHER_REPETITION_METRIC for metric in metrics)
    return Metric.DUPLICATE_NGRAM_FRACTION in metrics, gopher


def judge(metrics: np.ndarray, rules: tuple[Rule, ...]) -> Verdicts:
    """Apply the rules in order; the first that a document breaks is its reason for removal.

    Args:
        metrics: float64, shape (documents, len(Metric)).
        rules: As of `filters_for`.
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
