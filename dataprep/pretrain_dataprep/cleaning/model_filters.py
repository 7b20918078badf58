"""The filters of the clean stage that need a model, in the order of their cost."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pretrain_api.spec.data import Clean
from pretrain_api.spec.filters import Classifier, LanguageFilter, PerplexityFilter, ToxicityFilter
from pretrain_dataprep.cleaning.sieve import Sieve
from pretrain_dataprep.filtering.classifier import LinearClassifier
from pretrain_dataprep.filtering.fasttext_model import FastTextModel
from pretrain_dataprep.filtering.layout import (
    LANGUAGES,
    QUALITY,
    TOXICITY,
    WORDS,
    given_name,
    load_thresholds,
    trained_name,
)
from pretrain_dataprep.filtering.ngram_model import NgramModel
from pretrain_dataprep.filtering.word_list import WordList
from pretrain_dataprep.text.batch import TextBatch

LANGUAGE_SAMPLE_BYTES = 2_000
"""Of a document's beginning, by which its language is told: more changes little and takes longer."""
_TOXIC_TAG = "toxic"


class ModelFilters:
    """What the job asks for of languages, words, classifiers and perplexity."""

    def __init__(self, clean: Clean, folder: Path) -> None:
        """Load models from data/filters/."""
        self._language = _Language(clean.language, folder) if clean.language else None
        self._toxicity = _Toxicity(clean.toxicity, folder) if clean.toxicity else None
        self._quality = _Scorer(clean.quality, QUALITY, folder) if clean.quality else None
        self._least_quality = clean.quality.min_score if clean.quality else 0.0
        self._perplexity = _Perplexity(clean.perplexity, folder) if clean.perplexity else None

    def filter(self, sieve: Sieve) -> None:
        """Apply them to what is left."""
        if self._language is not None:
            labels, bad = self._language.judge(sieve.batch)
            sieve.count_languages(labels)
            sieve.drop(_reasons("language", bad))
        if self._toxicity is not None:
            toxic = self._toxicity.is_toxic(sieve.batch)
            if self._toxicity.tags:
                sieve.tag(_TOXIC_TAG, toxic)
            else:
                sieve.drop(_reasons("toxic", toxic))
        if self._quality is not None:
            scores = self._quality.scores(sieve.batch)
            sieve.quality = scores.astype(np.float32)
            sieve.drop(_reasons("low-quality", scores < self._least_quality))
        if self._perplexity is not None:
            sieve.drop(self._perplexity.reasons(sieve.batch))


def _reasons(reason: str, removed: np.ndarray) -> list[str | None]:
    return [reason if bad else None for bad in removed]


class _Language:
    def __init__(self, options: LanguageFilter, folder: Path) -> None:
        self._options = options
        given = folder / given_name(LANGUAGES)
        self._model = FastTextModel(given) if options.uri is not None else FastTextModel.for_languages()

    def judge(self, batch: TextBatch) -> tuple[list[str], np.ndarray]:
        """Return the language of each document, and which documents go."""
        labels, scores = self._model.best(batch, LANGUAGE_SAMPLE_BYTES)
        allowed = np.array([label in self._options.allow for label in labels], bool)
        return labels, ~allowed | (scores < self._options.min_score)


class _Scorer:
    """A trained or given classifier."""

    def __init__(self, options: Classifier, name: str, folder: Path) -> None:
        self._label = options.label or ""
        self._given = FastTextModel(folder / given_name(name)) if options.uri is not None else None
        self._trained = LinearClassifier.load(folder / trained_name(name)) if options.uri is None else None

    def scores(self, batch: TextBatch) -> np.ndarray:
        """Return the probability of each document."""
        if self._given is not None:
            return self._given.scores(batch, self._label)
        assert self._trained is not None
        return self._trained.scores(batch)


class _Toxicity:
    def __init__(self, options: ToxicityFilter, folder: Path) -> None:
        self.tags = options.action == "tag"
        self._options = options
        self._words = WordList.load(folder / WORDS) if options.words else None
        self._classifier = _Scorer(options.classifier, TOXICITY, folder) if options.classifier else None

    def is_toxic(self, batch: TextBatch) -> np.ndarray:
        """Return which documents have too many listed words or too great a score: bool, shape (documents,)."""
        toxic = np.zeros(len(batch), bool)
        if self._words is not None:
            toxic |= self._words.counts(batch) > self._options.max_words
        if self._classifier is not None:
            toxic |= self._classifier.scores(batch) > self._options.max_score
        return toxic


class _Perplexity:
    def __init__(self, options: PerplexityFilter, folder: Path) -> None:
        self._model = NgramModel.load(folder)
        self._least = options.min if options.min is not None else 0.0
        given = options.max if options.max is not None else np.inf
        self._greatest = min(given, load_thresholds(folder).get("maxPerplexity", np.inf))

    def reasons(self, batch: TextBatch) -> list[str | None]:
        """Return the reason for removal of each document; one without words has no perplexity, and stays."""
        return [
            "low-perplexity" if value < self._least else "high-perplexity" if value > self._greatest else None
            for value in self._model.perplexities(batch)
        ]
