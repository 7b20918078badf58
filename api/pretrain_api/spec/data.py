"""`spec.data`: where the text comes from and what is done with it before training."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from pretrain_api.quantities import TokenCount
from pretrain_api.spec.base import (
    Boolean,
    Fraction,
    KubernetesObject,
    Name,
    NonNegativeInteger,
    NonNegativeNumber,
    PositiveInteger,
    PositiveNumber,
    SpecModel,
    Text,
)

SourceFormat = Literal["auto", "jsonl", "parquet", "text", "html", "warc"]
Weight = Annotated[float, Field(strict=True, ge=0, le=1e9)]
Weights = Annotated[dict[str, Weight], Field(min_length=1, max_length=1000)]
CleanPreset = Literal["basic", "gopher", "c4", "fineweb", "none"]
PiiKind = Literal["email", "phone", "ip", "credit-card", "national-id", "secret"]


class Source(SpecModel):
    """A corpus: one set of files of one format."""

    name: Name = Field(examples=["web"])
    """Name of the source; part of file names, unique within the job."""
    uri: Text = Field(examples=["s3://corpus/cc/*.jsonl.zst"])
    """Local path, glob, directory or URL (s3://, gs://, hf://, https://); sample://python is text of the Python
    installation."""
    format: SourceFormat = "auto"
    """Format of the files; auto goes by the file name's suffix."""
    weight: Weight | None = None
    """Share of the training sequences, relative to the other sources' weights. Without weights a source counts by its
    tokens times its epochs."""
    epochs: PositiveNumber | None = None
    """Passes over the source: sizes its share where no weights are given. Where the weights make it repeat more often,
    the report says so."""
    text_field: Text = "text"
    """Field of a JSON or Parquet record that holds the document."""
    language: Text | None = None
    """Language of the source (ISO 639-1), for the report."""
    license: Text | None = None
    """Note on the licence, for the report."""


class TokenizedSource(SpecModel):
    """A corpus that is tokenized already: a Megatron .bin/.idx pair."""

    name: Name = Field(examples=["web"])
    """Name of the source, unique within the job."""
    uri: Text = Field(examples=["/data/web.bin"])
    """Path of the .bin file (or of the pair without suffix)."""
    weight: Weight | None = None
    """Share of the training sequences, relative to the other sources' weights."""
    epochs: PositiveNumber | None = None
    """Passes over the source."""


class LanguageFilter(SpecModel):
    """Keep documents of the given languages only."""

    allow: Annotated[tuple[Text, ...], Field(min_length=1, max_length=100)] = Field(examples=[["en"]])
    """Languages to keep (ISO 639-1)."""
    min_score: Fraction = 0.65
    """Least probability of the identified language (FineWeb, section 3.2: 0.65)."""


class Normalize(SpecModel):
    """How text is made uniform before anything else looks at it."""

    unicode: Literal["NFC", "NFKC", "none"] = "NFC"
    """Unicode normalisation form."""
    fix_mojibake: Boolean = False
    """Repair text that was decoded with the wrong codec (ftfy)."""


class PiiRedaction(SpecModel):
    """Replace personal data by placeholders that depend on the value and the job's seed alone."""

    redact: Annotated[tuple[PiiKind, ...], Field(max_length=20)] = ()
    """Kinds to replace."""


class Clean(SpecModel):
    """Normalisation, filters and redaction of documents. Thresholds set here replace those of the preset."""

    preset: CleanPreset = "basic"
    """Set of filter rules and thresholds."""
    normalize: Normalize = Normalize()
    """How text is made uniform first."""
    min_characters: NonNegativeInteger | None = None
    """Least length of a document in characters."""
    max_characters: PositiveInteger | None = None
    """Greatest length of a document in characters."""
    min_words: NonNegativeInteger | None = None
    """Least number of words (Gopher: 50)."""
    max_words: PositiveInteger | None = None
    """Greatest number of words (Gopher: 100,000)."""
    min_mean_word_length: NonNegativeNumber | None = None
    """Least mean word length in characters (Gopher: 3)."""
    max_mean_word_length: PositiveNumber | None = None
    """Greatest mean word length in characters (Gopher: 10)."""
    max_symbol_to_word_ratio: NonNegativeNumber | None = None
    """Greatest number of symbols (# and …) a word (Gopher: 0.1)."""
    max_duplicate_ngram_fraction: Fraction | None = None
    """Greatest share of words that are in repeated n-grams."""
    language: LanguageFilter | None = None
    """Keep some languages only."""
    toxicity: KubernetesObject | None = None
    """Toxicity filter."""
    pii: PiiRedaction = PiiRedaction()
    """Redaction of personal data."""


class NearDeduplication(SpecModel):
    """Near-duplicates by MinHash and locality-sensitive hashing (Broder 1997; Lee et al. 2022)."""

    method: Literal["minhash", "simhash"] = "minhash"
    """Kind of sketch."""
    unit: Literal["word", "character"] = "word"
    """What an n-gram is made of."""
    ngram: Annotated[PositiveInteger, Field(le=100)] = 5
    """Length of an n-gram in words or characters."""
    permutations: Annotated[PositiveInteger, Field(ge=2, le=1024)] = 128
    """Number of permutations: length of a signature."""
    threshold: Annotated[float, Field(strict=True, gt=0, lt=1)] = 0.8
    """Jaccard similarity from which two documents count as duplicates; bands and rows follow from it as datasketch
    chooses them."""


class Dedup(SpecModel):
    """Removal of duplicates within and across sources. `near: null` leaves near-duplicates in."""

    exact: Literal["document", "none"] = "document"
    """Exact duplicates: equal normalised text."""
    near: NearDeduplication | None = NearDeduplication()
    """Near-duplicates; null: none are looked for."""
    keep: Literal["longest", "source-priority"] = "longest"
    """Which document of a cluster survives: the longest, or the one whose source is listed first."""


class Decontaminate(SpecModel):
    """Removal of documents that overlap with evaluation sets."""

    against: Annotated[tuple[Text, ...], Field(min_length=1, max_length=100)] = Field(examples=[["s3://eval/*.jsonl"]])
    """Evaluation sets."""
    ngram: PositiveInteger = 13
    """Length of the overlap in tokens (GPT-3, appendix C: 13)."""


class TrainTokenizer(SpecModel):
    """Train a tokenizer on a weighted sample of the cleaned text."""

    algorithm: Literal["sentencepiece-bpe", "sentencepiece-unigram", "huggingface-bpe", "huggingface-wordpiece"] = (
        "sentencepiece-bpe"
    )
    """Algorithm and library."""
    vocab_size: Annotated[PositiveInteger, Field(ge=300, le=1_000_000)] = 32_000
    """Number of pieces; with byte fallback 256 of them are bytes."""
    character_coverage: Annotated[float, Field(strict=True, gt=0, le=1)] = 0.9995
    """Share of the characters that get pieces of their own; the rest falls back to bytes."""
    byte_fallback: Boolean = True
    """Write unknown characters as bytes instead of <unk>."""
    sample_bytes: Annotated[PositiveInteger, Field(ge=1_000)] = 100_000_000
    """Most text the tokenizer is trained on."""


class Tokenizer(SpecModel):
    """Which tokenizer turns text into tokens: trained here, given, or a tiktoken encoding."""

    train: TrainTokenizer | None = None
    """Train one."""
    uri: Text | None = None
    """Path or URL of a SentencePiece model (.model) or of a directory with a Hugging Face tokenizer."""
    tiktoken: Text | None = None
    """Name of a tiktoken encoding, such as cl100k_base."""


class Split(SpecModel):
    """What is held back from training, by a hash of the document."""

    validation: Annotated[float, Field(strict=True, ge=0, lt=1)] = 0.001
    """Share of the documents kept for validation."""


class BadRecords(SpecModel):
    """What is done with records that can't be read."""

    max_fraction: Fraction = 0.01
    """Share of a source's records that may be unreadable; more fail the job. Each one is set aside with file, line
    and cause."""


class CurriculumPhase(SpecModel):
    """From here on the sources have these weights."""

    from_: TokenCount = Field(alias="from", examples=["4B"])
    """Where the phase starts, in training tokens."""
    weights: Weights = Field(examples=[{"web": 1.0}])
    """Weight by source name; a source that isn't named has weight 0."""


class Data(SpecModel):
    """Where the text comes from and what is done with it: sources, or what is tokenized or prepared already."""

    sources: Annotated[tuple[Source, ...], Field(max_length=1000)] = ()
    """Corpora to prepare."""
    tokenized: Annotated[tuple[TokenizedSource, ...], Field(max_length=1000)] = ()
    """Ready .bin/.idx pairs instead of sources: preparation is skipped; needs tokenizer.uri."""
    prepared: Text | None = None
    """What another job prepared: its storage URI."""
    shards: Annotated[PositiveInteger, Field(le=100_000)] = 8
    """Work items a stage."""
    workers: Annotated[PositiveInteger, Field(le=10_000)] = 4
    """Work items done at a time; a local run takes at most one a core."""
    clean: Clean = Clean()
    """Normalisation, filters, redaction."""
    dedup: Dedup = Dedup()
    """Removal of duplicates."""
    decontaminate: Decontaminate | None = None
    """Removal of what overlaps with evaluation sets."""
    tokenizer: Tokenizer = Tokenizer(train=TrainTokenizer())
    """From text to tokens."""
    split: Split = Split()
    """What is held back for validation."""
    curriculum: Annotated[tuple[CurriculumPhase, ...], Field(max_length=100)] = ()
    """Weights that change over training; replaces the sources' own weights."""
    bad_records: BadRecords = BadRecords()
    """Unreadable records."""
    keep_removed: Boolean = False
    """Write removed documents out with their reasons."""
