"""`spec.data.clean`: filters that need a model, a word list, or any metric's bounds."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from pretrain_api.spec.base import Fraction, NonNegativeNumber, PositiveInteger, PositiveNumber, SpecModel, Text

Addresses = Annotated[tuple[Text, ...], Field(min_length=1, max_length=100)]


class LanguageFilter(SpecModel):
    """Keep documents of the given languages only."""

    allow: Annotated[tuple[Text, ...], Field(min_length=1, max_length=100)] = Field(examples=[["en"]])
    """Languages to keep (ISO 639-1)."""
    min_score: Fraction = 0.65
    """Least probability of the identified language (FineWeb, section 3.2: 0.65)."""
    uri: Text | None = None
    """Path or URL of another fastText model (.bin or .ftz), such as lid.176.bin; without, lid.176.ftz is used."""


class TrainPerplexity(SpecModel):
    """Train an n-gram model: interpolated, modified Kneser-Ney smoothing (Chen & Goodman 1998), as KenLM does it."""

    on: Addresses = Field(examples=[["corpus/wikipedia/*.jsonl.zst"]])
    """Good text: paths, globs or URLs of the formats of sources."""
    order: Annotated[PositiveInteger, Field(le=5)] = 3
    """Words of an n-gram."""
    sample_bytes: Annotated[PositiveInteger, Field(ge=1_000, le=1_000_000_000)] = 20_000_000
    """Most text the model is trained on: documents are chosen by a hash of their text. Training takes some 20
    times as much memory."""


class PerplexityFilter(SpecModel):
    """Keep documents by their perplexity under an n-gram model: low for text like what the model was trained on."""

    train: TrainPerplexity | None = None
    """Train the model."""
    uri: Text | None = None
    """Path or URL of a given model: an ARPA file (.arpa, also .gz or .zst) over words in lower case without
    punctuation."""
    min: PositiveNumber | None = None
    """Least perplexity of a document that stays: boilerplate has less."""
    max: PositiveNumber | None = None
    """Greatest perplexity of a document that stays."""
    max_percentile: Annotated[float, Field(strict=True, gt=0, lt=100)] | None = None
    """Share, in per cent, of the documents with the least perplexity that stays (CCNet, section 3.3, has thirds). The
    threshold is that of a sample of the sources."""
    percentile_sample_bytes: Annotated[PositiveInteger, Field(ge=1_000, le=1_000_000_000)] = 20_000_000
    """Text a source that the percentile is taken from."""


class TrainClassifier(SpecModel):
    """Train a linear classifier on hashed words and word pairs (logistic regression)."""

    positive: Addresses = Field(examples=[["corpus/wikipedia/*.jsonl.zst"]])
    """Examples of what is looked for: paths, globs or URLs of the formats of sources."""
    negative: Addresses = Field(examples=[["corpus/web/*.jsonl.zst"]])
    """Examples of the contrary."""
    sample_bytes: Annotated[PositiveInteger, Field(ge=1_000, le=200_000_000)] = 10_000_000
    """Most text a side: documents are chosen by a hash of their text."""


class Classifier(SpecModel):
    """A classifier: trained here from examples, or given."""

    train: TrainClassifier | None = None
    """Train it."""
    uri: Text | None = None
    """Path or URL of a given fastText model (.bin or .ftz)."""
    label: Text | None = None
    """Label of the given model whose probability is the score, such as __label__hq."""


class QualityFilter(Classifier):
    """Keep documents that a classifier takes for good ones (GPT-3, appendix A)."""

    min_score: Fraction = 0.5
    """Least probability of being like the positive examples."""


class ToxicityFilter(SpecModel):
    """Find toxic documents by words, by a classifier, or by either."""

    words: Annotated[tuple[Text, ...], Field(max_length=100)] = ()
    """Lists of words and phrases, one a line, such as the list of bad words that C4 used: paths, globs or URLs. They
    are compared as words, in lower case."""
    max_words: Annotated[int, Field(strict=True, ge=0)] = 0
    """Greatest number of listed words in a document that isn't toxic (C4: none)."""
    classifier: Classifier | None = None
    """Classifier whose score is the probability of being toxic: positive examples are toxic ones."""
    max_score: Fraction = 0.5
    """Greatest score of a document that isn't toxic."""
    action: Literal["drop", "tag"] = "drop"
    """Remove toxic documents, or keep them with the tag `toxic` and count them."""


class ClusterFilter(SpecModel):
    """Limit the documents of a topic: spherical k-means (Dhillon & Modha 2001) on a sample, and a cap for each cluster,
    so that what is there in abundance doesn't drown the rest (Shao et al. 2024, ClusterClip). The cap is exact and
    applies to what deduplication leaves: the documents with the least hash of their text and the job's seed stay."""

    count: Annotated[PositiveInteger, Field(ge=2, le=2048)] = 100
    """Number of clusters."""
    model: Text | None = Field(default=None, examples=["/models/potion-base-8M"])
    """Directory of a static embedding model, as in dedup.semantic. Without, documents are compared by TF-IDF of their
    words (hashed to 32,768 places), which needs no model."""
    max_documents: PositiveInteger | None = None
    """Most documents of a cluster that stay."""
    max_share: Annotated[float, Field(strict=True, gt=0, lt=1)] | None = Field(default=None, examples=[0.05])
    """Most documents of a cluster that stay, relative to all that deduplication leaves. With maxDocuments the smaller
    one counts."""
    sample_bytes: Annotated[PositiveInteger, Field(ge=1_000, le=1_000_000_000)] = 50_000_000
    """Text that the clusters are found on, in equal parts of the sources: 250 documents of 2,000 bytes for each of 100
    clusters (FAISS takes 256 points a cluster and calls less than 39 too few). Takes some four times as much memory."""


CAPS = frozenset({"max_documents", "max_share"})
"""Fields of ClusterFilter that don't decide which cluster a document belongs to."""


class MetricBounds(SpecModel):
    """Least and greatest value of a metric; what isn't given is the preset's, or not looked at."""

    min: NonNegativeNumber | None = None
    """Least value of a document that stays."""
    max: NonNegativeNumber | None = None
    """Greatest value of a document that stays."""


class MetricThresholds(SpecModel):
    """Bounds of what is measured of every document, in place of the preset's; any number of them."""

    bullet_line_fraction: MetricBounds | None = None
    """Lines that start with a bullet (Gopher: at most 0.9)."""
    ellipsis_line_fraction: MetricBounds | None = None
    """Lines that end with an ellipsis (Gopher: at most 0.3)."""
    alphabetic_word_fraction: MetricBounds | None = None
    """Words and runs of symbols that have a letter (Gopher: at least 0.8)."""
    alphabetic_token_fraction: MetricBounds | None = None
    """Words that have a letter, of words and all other characters but spaces: near to datatrove's measure (at least
    0.8), which takes each punctuation mark for a word."""
    stop_words: MetricBounds | None = None
    """Different English stop words (Gopher: at least 2)."""
    terminal_line_fraction: MetricBounds | None = None
    """Lines that end with a terminal punctuation mark (FineWeb: at least 0.12)."""
    short_line_fraction: MetricBounds | None = None
    """Lines of at most 30 characters (FineWeb: at most 0.67)."""
    line_feed_to_word_ratio: MetricBounds | None = None
    """Line feeds a word (FineWeb: at most 0.3)."""
    duplicate_line_fraction: MetricBounds | None = None
    """Lines that occurred before (Gopher: at most 0.3)."""
    duplicate_paragraph_fraction: MetricBounds | None = None
    """Paragraphs that occurred before (Gopher: at most 0.3)."""
    duplicate_line_character_fraction: MetricBounds | None = None
    """Characters in lines that occurred before (Gopher: at most 0.2)."""
    duplicate_paragraph_character_fraction: MetricBounds | None = None
    """Characters in paragraphs that occurred before (Gopher: at most 0.2)."""
    duplicate_line_text_fraction: MetricBounds | None = None
    """Characters in lines that occurred before, line feeds not counted (FineWeb: at most 0.1; its pipeline: 0.01)."""
    top_2_gram_character_fraction: MetricBounds | None = None
    """Characters in the most frequent word 2-gram (Gopher: at most 0.2)."""
    top_3_gram_character_fraction: MetricBounds | None = None
    """Characters in the most frequent word 3-gram (Gopher: at most 0.18)."""
    top_4_gram_character_fraction: MetricBounds | None = None
    """Characters in the most frequent word 4-gram (Gopher: at most 0.16)."""
    duplicate_5_gram_character_fraction: MetricBounds | None = None
    """Characters in word 5-grams that occurred before (Gopher: at most 0.15)."""
    duplicate_6_gram_character_fraction: MetricBounds | None = None
    """Characters in word 6-grams that occurred before (Gopher: at most 0.14)."""
    duplicate_7_gram_character_fraction: MetricBounds | None = None
    """Characters in word 7-grams that occurred before (Gopher: at most 0.13)."""
    duplicate_8_gram_character_fraction: MetricBounds | None = None
    """Characters in word 8-grams that occurred before (Gopher: at most 0.12)."""
    duplicate_9_gram_character_fraction: MetricBounds | None = None
    """Characters in word 9-grams that occurred before (Gopher: at most 0.11)."""
    duplicate_10_gram_character_fraction: MetricBounds | None = None
    """Characters in word 10-grams that occurred before (Gopher: at most 0.1)."""
