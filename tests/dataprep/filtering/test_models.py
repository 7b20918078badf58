"""Classifier, word lists, fastText models, samples of text."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pretrain_dataprep.errors import ConfigurationError
from pretrain_dataprep.filtering import classifier as classifier_module
from pretrain_dataprep.filtering.classifier import LinearClassifier, train_classifier
from pretrain_dataprep.filtering.fasttext_model import FastTextModel
from pretrain_dataprep.filtering.texts import Sample
from pretrain_dataprep.filtering.word_list import WordList
from pretrain_dataprep.text.batch import TextBatch


def batch(*texts: str) -> TextBatch:
    return TextBatch.of(text.encode() for text in texts)


def examples(words: str, seed: int, count: int = 60) -> list[bytes]:
    generator = random.Random(seed)
    common = ["the", "of", "and", "a", "to", "in", "is", "that", "it", "for"]
    return [" ".join(generator.choices(common + words.split(), k=40)).encode() for _ in range(count)]


GOOD, BAD = "theorem lemma proof river history", "casino bonus click winner cheap"


def test_classifier_tells_kinds_of_text_apart() -> None:
    trained = train_classifier(examples(GOOD, 1), examples(BAD, 2), buckets=1 << 12)
    good, bad = (trained.scores(TextBatch.of(examples(words, 3))) for words in (GOOD, BAD))
    assert good.min() > 0.9
    assert bad.max() < 0.1
    assert trained.scores(batch(""))[0] == pytest.approx(1 / (1 + np.exp(-trained.bias)))


def test_classifier_is_at_the_optimum() -> None:
    """Nudging any weight, or the bias, makes the loss greater: the loss is convex and has one minimum."""
    sides = examples(GOOD, 1, 20), examples(BAD, 2, 10)
    trained = train_classifier(*sides, buckets=256)

    def loss(model: LinearClassifier) -> float:
        scores = [model.scores(TextBatch.of(side)) for side in sides]
        mean = -np.log(scores[0]).mean() / 2 - np.log(1 - scores[1]).mean() / 2
        return float(mean + classifier_module.L2_PENALTY / 2 * (model.weights.astype(float) ** 2).sum())

    best = loss(trained)
    for bucket in np.random.default_rng(1).choice(256, 20, replace=False):
        for change in (-1.0, 1.0):
            weights = trained.weights.copy()
            weights[bucket] += change
            assert loss(LinearClassifier(weights, trained.bias)) > best - 1e-9
    assert loss(LinearClassifier(trained.weights, trained.bias + 0.05)) > best
    assert loss(LinearClassifier(trained.weights, trained.bias - 0.05)) > best


def test_classifier_survives_its_file(tmp_path: Path) -> None:
    trained = train_classifier(examples(GOOD, 1), examples(BAD, 2), buckets=1 << 10)
    trained.save(tmp_path / "a.npy")
    texts = TextBatch.of(examples(GOOD, 5))
    assert (LinearClassifier.load(tmp_path / "a.npy").scores(texts) == trained.scores(texts)).all()


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("nothing here", 0),
        ("A BAD word", 1),
        ("badly embodied", 0),
        ("bad, very bad: bad", 3),
        ("this is not\ngood", 1),
        ("not so good", 0),
        ("好 坏人 的", 1),
        ("don't", 1),
        ("", 0),
    ],
)
def test_word_lists_count_words_and_phrases(text: str, count: int, tmp_path: Path) -> None:
    words = WordList.of(["bad", "not good", "坏人", "Don’t", "", "!!!"])
    words.save(tmp_path / "words.npy")
    assert WordList.load(tmp_path / "words.npy").counts(batch(text, "bad")).tolist() == [count, 1]


def test_an_empty_word_list_finds_nothing() -> None:
    assert WordList.of([]).counts(batch("any", "thing")).tolist() == [0, 0]


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("The river was high and nobody could cross the bridge that morning.", "en"),
        ("Der Fluss war hoch, und an jenem Morgen kam niemand über die Brücke.", "de"),
        ("La rivière était haute et personne ne put traverser le pont ce matin-là.", "fr"),
        ("Река поднялась, и в то утро никто не смог перейти мост.", "ru"),
        ("河水很高，那天早上没有人能过桥。", "zh"),
        ("その朝、川の水は高く、誰も橋を渡れなかった。", "ja"),
    ],
)
def test_languages(text: str, language: str) -> None:
    labels, scores = FastTextModel.for_languages().best(batch(text, f"{text}\n{text}"), 2_000)
    assert labels == [language, language]
    assert scores.min() > 0.65
    assert scores.max() <= 1


def test_scores_of_a_label() -> None:
    scores = FastTextModel.for_languages().scores(batch("The river was high that morning.", ""), "__label__en")
    assert scores[0] > 0.65
    assert scores[1] < 0.65


def test_what_is_no_fasttext_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"not a model")
    with pytest.raises(ConfigurationError, match=r"a\.bin: not a fastText model"):
        FastTextModel(tmp_path / "a.bin")


@settings(deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=12), max_size=40), st.integers(1, 100), st.randoms())
def test_samples_do_not_depend_on_the_order(texts: list[bytes], most: int, generator: random.Random) -> None:
    shuffled = texts.copy()
    generator.shuffle(shuffled)
    samples = []
    for some in (texts, shuffled):
        sample = Sample(most)
        for text in some:
            sample.add(text)
        samples.append(sample.texts())
    assert samples[0] == samples[1]
    assert sum(map(len, samples[0])) <= most or len(samples[0]) == 1
    assert bool(samples[0]) == bool(texts)
