"""Normalisation, words, metrics, filters."""

from __future__ import annotations

import math
import random
import re
import textwrap
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pretrain_api.spec.data import Clean, Normalize
from pretrain_api.spec.filters import MetricThresholds
from pretrain_dataprep.cleaning.sieve import Sieve
from pretrain_dataprep.kernels.words import SINGLE
from pretrain_dataprep.text.batch import TextBatch
from pretrain_dataprep.text.filters import filters_for, judge, wants_repetition
from pretrain_dataprep.text.measure import STOP_WORDS, measure
from pretrain_dataprep.text.metrics import Metric
from pretrain_dataprep.text.tidy import normalize_unicode, tidy
from pretrain_dataprep.text.words import words_of

REMOVED = {*map(chr, range(32)), *map(chr, range(127, 160)), "\u200b", "\ufeff", "\u00ad"} - {"\t", "\n"}


def tidied(text: str) -> str:
    return tidy(TextBatch.of([text.encode()])).document(0).decode()


def tidied_slowly(text: str) -> str:
    """The definition, with regular expressions."""
    text = re.sub("\r\n|[\r\u2028\u2029]", "\n", text)
    text = "".join(character for character in text if character not in REMOVED)
    text = re.sub(r"[ \t]+(?=\n|$)", "", text)
    text = re.sub(r"\n{4,}", "\n\n\n", text)
    return re.sub(r"^\n+", "", text).rstrip(" \t\n")


@settings(deadline=None, max_examples=300)
@given(st.text(alphabet="ab \t\n\r\x00\x0b\x85\u00a0\u00ad\u200b\u2028\u2029\ufeffé中😀", max_size=40))
def test_tidy_equals_its_definition(text: str) -> None:
    assert tidied(text) == tidied_slowly(text)


@settings(deadline=None)
@given(st.lists(st.text(max_size=60), max_size=5))
def test_tidy_keeps_documents_apart_and_changes_nothing_twice(texts: list[str]) -> None:
    once = tidy(TextBatch.of(text.encode() for text in texts))
    assert [document.decode() for document in once.documents()] == [tidied_slowly(text) for text in texts]
    assert list(tidy(once).documents()) == list(once.documents())


def test_unicode_forms() -> None:
    assert normalize_unicode("e\u0301", Normalize()) == "é"
    assert normalize_unicode("ﬁ", Normalize()) == "ﬁ"
    assert normalize_unicode("ﬁ", Normalize(unicode="NFKC")) == "fi"
    assert normalize_unicode("e\u0301", Normalize(unicode="none")) == "e\u0301"
    assert normalize_unicode("schÃ¶n", Normalize(fix_mojibake=True)) == "schön"


@pytest.mark.parametrize(
    ("text", "lengths"),
    [
        ("Don't stop", [5, 4]),
        ("it’s 'quoted' text", [4, 6, 4]),
        ("foo_bar(x1)", [7, 2]),
        ("naïve café", [5, 4]),
        ("你好world", [1, 1, 5]),
        ("привет, мир", [6, 3]),
        ("a—b…c", [1, 1, 1]),
        ("one\u00a0two\u3000three", [3, 3, 5]),
        ("😀 !!! …", []),
    ],
)
def test_words(text: str, lengths: list[int]) -> None:
    assert words_of(text)[1].tolist() == lengths


def test_case_does_not_matter_to_a_word() -> None:
    for upper in ("HELLO", "ÀÉÎ", "ΑΒΓ", "ПРИВЕТ", "ЁЂ"):
        assert words_of(upper)[0].tolist() == words_of(upper.lower())[0].tolist()
    assert words_of("it's")[0].tolist() == words_of("it’s")[0].tolist()


@settings(deadline=None, max_examples=300)
@given(st.text(max_size=80))
def test_words_of_any_text(text: str) -> None:
    hashes, lengths, kinds = words_of(text)
    assert len(hashes) == len(lengths) == len(kinds) <= len(text.encode()) // 2 + 1
    assert lengths.sum() <= len(text)
    letters = sum(unicodedata.category(character) in ("Lu", "Ll") and ord(character) < 0x250 for character in text)
    assert lengths[kinds != SINGLE].sum() >= letters


def metrics_of(text: str) -> dict[Metric, float]:
    row = measure(TextBatch.of([text.encode()]), repetition=True, gopher_repetition=True)[0]
    return {metric: float(row[metric]) for metric in Metric}


def test_metrics() -> None:
    found = metrics_of("the cat and the dog # ... \n- b\n\n- b\n")
    assert found[Metric.CHARACTERS] == 36
    assert found[Metric.WORDS] == 7
    assert found[Metric.MEAN_WORD_LENGTH] == pytest.approx(17 / 7)
    assert found[Metric.HASH_TO_WORD_RATIO] == pytest.approx(1 / 7)
    assert found[Metric.ELLIPSIS_TO_WORD_RATIO] == pytest.approx(1 / 7)
    assert found[Metric.BULLET_LINE_FRACTION] == pytest.approx(2 / 3)
    assert found[Metric.ELLIPSIS_LINE_FRACTION] == pytest.approx(1 / 3)
    # Tokens: 7 words and 4 symbols (#, ..., -, -).
    assert found[Metric.ALPHABETIC_WORD_FRACTION] == pytest.approx(7 / 11)
    # The same, for each symbol is one character, or an ellipsis.
    assert found[Metric.ALPHABETIC_TOKEN_FRACTION] == pytest.approx(7 / 11)
    assert metrics_of("a->b, (c)")[Metric.ALPHABETIC_TOKEN_FRACTION] == pytest.approx(3 / 8)
    assert found[Metric.STOP_WORDS] == 2
    assert found[Metric.DUPLICATE_LINE_FRACTION] == pytest.approx(1 / 3)
    assert found[Metric.DUPLICATE_LINE_CHARACTER_FRACTION] == pytest.approx(3 / 36)


def test_repetition_metrics() -> None:
    found = metrics_of("a b c a b c a b c")
    # 3-grams: abc bca cab abc bca cab abc: 4 of 7 occurred before.
    assert found[Metric.DUPLICATE_NGRAM_FRACTION] == pytest.approx(4 / 7)
    # "a b" (3 characters) three times in 17; "a b c" (5) three times.
    assert found[Metric.TOP_2_GRAM_CHARACTER_FRACTION] == pytest.approx(9 / 17)
    assert found[Metric.TOP_3_GRAM_CHARACTER_FRACTION] == pytest.approx(15 / 17)
    assert found[Metric.DUPLICATE_5_GRAM_CHARACTER_FRACTION] == pytest.approx(5 / 17)
    distinct = metrics_of(" ".join(f"w{n}" for n in range(50)))
    assert all(distinct[metric] == 0 for metric in Metric if metric >= Metric.DUPLICATE_NGRAM_FRACTION)
    assert metrics_of("one paragraph\n\nother\n\none paragraph")[Metric.DUPLICATE_PARAGRAPH_FRACTION] == pytest.approx(
        1 / 3
    )


def test_scripts_without_spaces_have_no_word_length() -> None:
    assert math.isnan(metrics_of("你好世界")[Metric.MEAN_WORD_LENGTH])
    assert metrics_of("!!!")[Metric.MEAN_WORD_LENGTH] == 0


def verdict(text: str, clean: Clean, language: str | None = None) -> str | None:
    rules = filters_for(clean, language).rules
    verdicts = judge(measure(TextBatch.of([text.encode()]), *wants_repetition(rules)), rules)
    return verdicts.reasons[verdicts.codes[0]] if verdicts.codes[0] >= 0 else None


STORY = " ".join(f"The river number {n} was to be the one that we have seen with them." for n in range(20))
PROSE = " ".join(f"The river{n} and window{n} that garden{n} have with morning{n} is market{n}." for n in range(20))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("x" * 99, "too-short"),
        (PROSE * 100, "too-long"),
        ("ab " * 60, "words-too-short"),
        ("abcdefghijklmnopqrst " * 10, "words-too-long"),
        ("#tag word " * 30, "too-many-number-signs"),
        ("well... then " * 20, "too-many-ellipses"),
        ("same words again " * 20, "repeated-ngrams"),
        (STORY, "repeated-ngrams"),
        ("你" * 99, "too-short"),
        (PROSE, None),
    ],
)
def test_basic_preset(text: str, reason: str | None) -> None:
    assert verdict(text, Clean(preset="basic")) == reason


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("the river and that window", "too-few-words"),
        (" ".join(f"river{n} window{n}" for n in range(60)), "too-few-stop-words"),
        ("\n".join(f"- the item {n} is with that and number {n * 7}" for n in range(20)), "bullet-lines"),
        (STORY, "top-3-gram"),
        ("\n".join(["the same line with that and this"] * 20), "duplicate-lines"),
    ],
)
def test_gopher_preset(text: str, reason: str) -> None:
    assert verdict(text, Clean(preset="gopher"), "en") == reason


def test_stop_words_are_for_english_and_unknown_languages() -> None:
    text = " ".join(f"fluss{n} fenster{n}" for n in range(60))
    clean = Clean(preset="gopher")
    assert verdict(text, clean, "en") == verdict(text, clean, None) == "too-few-stop-words"
    assert verdict(text, clean, "de") is None


def test_thresholds_are_overridden_one_by_one() -> None:
    assert (
        verdict("x" * 50 + " word" * 9, Clean(preset="basic", min_characters=10, max_duplicate_ngram_fraction=1.0))
        is None
    )
    assert verdict(PROSE, Clean(preset="none", max_words=10)) == "too-many-words"
    assert verdict("", Clean(preset="none")) == "too-short"
    assert verdict("!", Clean(preset="none")) is None


NOUNS = [
    "river",
    "stone",
    "bridge",
    "window",
    "garden",
    "morning",
    "letter",
    "system",
    "memory",
    "engine",
    "pattern",
    "winter",
    "market",
    "village",
    "teacher",
    "question",
    "answer",
    "reason",
    "method",
    "weight",
    "travel",
    "mountain",
    "ocean",
    "forest",
    "animal",
    "silver",
    "quiet",
]
WORDS = [*STOP_WORDS, *NOUNS]


def sentences(seed: int, count: int, words: int) -> list[str]:
    generator = random.Random(seed)
    return [" ".join(generator.choice(WORDS) for _ in range(words)).capitalize() + "." for _ in range(count)]


LINES = sentences(1, 30, 9)
ARTICLE = "\n".join(LINES)
AGAIN = "\n".join(line for pair in zip(sentences(2, 5, 9), LINES[:5], strict=True) for line in pair)


def outcome(text: str, clean: Clean, language: str | None = None) -> str | None:
    sieve = Sieve(TextBatch.of([text.encode()]))
    sieve.filter(filters_for(clean, language))
    return sieve.removed[0][1] if sieve.removed else None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (ARTICLE, None),
        ("A line of five words stays. A second one. A third one.", None),
        ("A line of five words stays. A second one.", "too-few-sentences"),
        (ARTICLE + "\nLorem ipsum dolor sit amet, consectetur.", "lorem-ipsum"),
        (ARTICLE + "\nA line with code like {this} one.", "curly-bracket"),
        (ARTICLE + "\n{ without an end", None),
    ],
)
def test_c4_preset(text: str, reason: str | None) -> None:
    assert outcome(text, Clean(preset="c4")) == reason


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (ARTICLE, None),
        (ARTICLE.replace("\n", " ").replace(".", ","), "too-few-sentences"),
        (ARTICLE.replace(".", ","), "too-few-ended-lines"),
        ("\n".join("\n".join(textwrap.wrap(line, 26)) for line in sentences(1, 30, 8)), "short-lines"),
        (f"{ARTICLE}\n{AGAIN}", "duplicate-line-text"),
        ("the river and that window", "too-few-words"),
    ],
)
def test_fineweb_preset(text: str, reason: str | None) -> None:
    assert outcome(text, Clean(preset="fineweb"), "en") == reason


def test_line_metrics() -> None:
    found = metrics_of("ends here.\n\n    indented to more than thirty chars\nends。\nends")
    assert found[Metric.TERMINAL_LINE_FRACTION] == pytest.approx(2 / 4)
    assert found[Metric.SHORT_LINE_FRACTION] == pytest.approx(3 / 4)
    assert found[Metric.LINE_FEED_TO_WORD_RATIO] == pytest.approx(4 / 10)
    again = metrics_of("ä line\nä line")
    assert again[Metric.DUPLICATE_LINE_CHARACTER_FRACTION] == pytest.approx(6 / 13)
    assert again[Metric.DUPLICATE_LINE_TEXT_FRACTION] == pytest.approx(6 / 12)


@pytest.mark.parametrize(
    ("preset", "bounds", "reason"),
    [
        ("none", {"terminalLineFraction": {"min": 0.99}}, "low-terminal-line-fraction"),
        ("none", {"terminalLineFraction": {"min": 0.9}}, None),
        ("gopher", {"alphabeticWordFraction": {"max": 0.5}}, "high-alphabetic-word-fraction"),
        ("fineweb", {}, "duplicate-line-text"),
        ("fineweb", {"duplicateLineTextFraction": {"max": 0.15}}, None),
        ("c4", {}, None),
        ("c4", {"duplicateLineFraction": {"min": 0.5}}, "low-duplicate-line-fraction"),
    ],
)
def test_any_metric_can_be_bounded(preset: str, bounds: dict[str, dict[str, float]], reason: str | None) -> None:
    text = f"{ARTICLE}\n{AGAIN}\nThis line has no end\nNor has this line"
    clean = Clean.model_validate({"preset": preset, "metrics": bounds})
    assert outcome(text, clean, "en") == reason


def test_every_metric_has_a_threshold() -> None:
    own = {"CHARACTERS", "WORDS", "MEAN_WORD_LENGTH", "HASH_TO_WORD_RATIO", "ELLIPSIS_TO_WORD_RATIO"}
    own |= {"DUPLICATE_NGRAM_FRACTION"}
    fields = {name.upper() for name in MetricThresholds.model_fields}
    assert fields | own == {metric.name for metric in Metric}
    assert not fields & own
