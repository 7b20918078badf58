"""Filter rules as data: a metric, a bound, a reason. Presets name sets of them, with the thresholds of the papers.

- `basic`: the product's own, language-independent set.
- `gopher`: Rae et al. 2021 ("Scaling Language Models: Methods, Analysis & Insights from Training Gopher"), appendix
  A1.1 and table A1.
- `c4`: Raffel et al. 2020 ("Exploring the Limits of Transfer Learning with a Unified Text-to-Text Transformer"),
  section 2.2; `lines` has the details. The list of bad words is the user's to give (spec.data.clean.toxicity).
- `fineweb`: Penedo et al. 2024 ("The FineWeb Datasets"), sections 3.3 and 3.6: Gopher's rules, C4's rules for lines but
  that of the terminal punctuation (with 3 words and 5 sentences, as in the first version of C4's paper), then FineWeb's
  own. Line feeds a word are in the published pipeline, not in the paper.
"""

from __future__ import annotations

from dataclasses import dataclass

from pretrain_dataprep.text.lines import LineRules
from pretrain_dataprep.text.metrics import Metric


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


@dataclass(frozen=True)
class Filters:
    """What decides whether a document stays: rules, then rules for its lines, then rules for what those left."""

    rules: tuple[Rule, ...]
    lines: LineRules | None = None
    final_rules: tuple[Rule, ...] = ()


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
_GOPHER = (
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
)
# An empty document is of no use to anybody.
_NONE = (_length(1, None), _words(None, None), _word_length(None, None), *_symbols(None), _repetition(None))

PRESETS: dict[str, Filters] = {
    "none": Filters(_NONE),
    "basic": Filters(
        (_length(100, 100_000), _words(None, None), _word_length(3, 15), *_symbols(0.1), _repetition(0.5))
    ),
    "gopher": Filters(_GOPHER),
    "c4": Filters((), LineRules(min_words=5, min_sentences=3, terminal=True), _NONE),
    "fineweb": Filters(
        _GOPHER,
        LineRules(min_words=3, min_sentences=5, terminal=False),
        (
            Rule(Metric.TERMINAL_LINE_FRACTION, too_small="too-few-ended-lines", least=0.12),
            _at_most(Metric.SHORT_LINE_FRACTION, "short-lines", 0.67),
            _at_most(Metric.DUPLICATE_LINE_TEXT_FRACTION, "duplicate-line-text", 0.10),
            _at_most(Metric.LINE_FEED_TO_WORD_RATIO, "too-many-line-feeds", 0.30),
        ),
    ),
}
