"""`spec.data`: where the text comes from and what is done with it before training."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from pretrain_api.quantities import TokenCount
from pretrain_api.spec.augment import Augmentation
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
from pretrain_api.spec.decontaminate import Decontaminate
from pretrain_api.spec.dedup import Dedup
from pretrain_api.spec.filters import (
    ClusterFilter,
    LanguageFilter,
    MetricThresholds,
    PerplexityFilter,
    QualityFilter,
    ToxicityFilter,
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
    """Field of a JSON record or column of a Parquet file that holds the document; dots lead into objects
    (doc.body.text)."""
    language: Text | None = None
    """Language of the source (ISO 639-1), for the report."""
    license: Text | None = None
    """Note on the licence, for the report."""


class TokenizedSource(SpecModel):
    """A corpus that is tokenized already: Megatron .bin/.idx pairs, which are read where they are."""

    name: Name = Field(examples=["web"])
    """Name of the source, unique within the job."""
    uri: Text = Field(examples=["/data/web.bin"])
    """The .bin file (or the pair without suffix), a directory of pairs or a glob: a path, file:// or pvc://claim/path."""
    validation_uri: Text | None = None
    """Pairs that are held back for validation."""
    weight: Weight | None = None
    """Share of the training sequences, relative to the other sources' weights."""
    epochs: PositiveNumber | None = None
    """Passes over the source."""


class Extract(SpecModel):
    """From web pages (HTML files, WARC) to text."""

    extractor: Literal["selectolax", "resiliparse", "trafilatura"] = "selectolax"
    """What tells content from the page's furniture: the page's own structure (selectolax), Resiliparse's heuristics, or
    Trafilatura, which is the strictest and some 20 times slower."""


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


def _addresses(path: str, part: SpecModel) -> Iterator[tuple[str, str]]:
    for name in ("uri", "model", "words", "on", "positive", "negative"):
        value = getattr(part, name, None)
        if isinstance(value, str):
            yield f"{path}.{name}", value
        elif value is not None:
            yield from ((f"{path}.{name}[{index}]", uri) for index, uri in enumerate(value))
    for name in ("train", "classifier"):
        inner = getattr(part, name, None)
        if inner is not None:
            yield from _addresses(f"{path}.{name}", inner)


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
    metrics: MetricThresholds = MetricThresholds()
    """Bounds of any other metric."""
    language: LanguageFilter | None = None
    """Keep some languages only."""
    quality: QualityFilter | None = None
    """Keep what a classifier takes for good."""
    perplexity: PerplexityFilter | None = None
    """Keep what an n-gram model finds probable."""
    toxicity: ToxicityFilter | None = None
    """Drop or tag toxic documents."""
    clusters: ClusterFilter | None = None
    """Limit the documents of a topic."""
    pii: PiiRedaction = PiiRedaction()
    """Redaction of personal data."""

    @property
    def needs_models(self) -> bool:
        """Whether something has to be trained, fetched or listed before documents can be filtered."""
        given = self.language is not None and self.language.uri is not None
        return given or any(part is not None for part in (self.quality, self.perplexity, self.toxicity, self.clusters))

    def addresses(self) -> Iterator[tuple[str, str]]:
        """Yield the path below `clean` and the address of every model, word list and training text."""
        for name in ("language", "quality", "perplexity", "toxicity", "clusters"):
            part = getattr(self, name)
            if part is not None:
                yield from _addresses(name, part)


class TrainTokenizer(SpecModel):
    """Train a tokenizer on a weighted sample of the cleaned text."""

    algorithm: Literal["sentencepiece-bpe", "sentencepiece-unigram", "huggingface-bpe", "huggingface-wordpiece"] = (
        "sentencepiece-bpe"
    )
    """Algorithm and library."""
    vocab_size: Annotated[PositiveInteger, Field(ge=300, le=1_000_000)] = 32_000
    """Number of pieces; with byte fallback, and in huggingface-bpe, 256 of them are bytes."""
    character_coverage: Annotated[float, Field(strict=True, gt=0, le=1)] = 0.9995
    """Share of the characters that get pieces of their own; the rest falls back to bytes, or is unknown."""
    byte_fallback: Boolean = True
    """Write unknown characters as bytes instead of <unk> (SentencePiece; huggingface-bpe always does)."""
    lowercase: Boolean = False
    """Fold to lower case without accents (huggingface-wordpiece; BERT's uncased models)."""
    reserve: Literal["auto", "objective", "all"] = "auto"
    """Special tokens that get ids: those of spec.objective, or of all objectives ([MASK], [CLS], [SEP], <fim_prefix>,
    …, [R], [S], [X], and a sentinel <extra_id_0>, … for 128 pieces, at most 256). auto: of spec.objective; of all in a
    job that trains nothing, as it can't know who will use its data."""
    sample_bytes: Annotated[PositiveInteger, Field(ge=1_000)] = 100_000_000
    """Most text the tokenizer is trained on."""


class Tokenizer(SpecModel):
    """Which tokenizer turns text into tokens: trained here, given, or a tiktoken encoding."""

    train: TrainTokenizer | None = None
    """Train one."""
    uri: Text | None = None
    """Path or URL of a SentencePiece model (.model), of a Hugging Face tokenizer (tokenizer.json, or the directory it
    is in); or, with tiktoken, of the encoding's files."""
    tiktoken: Text | None = None
    """Name of a tiktoken encoding, such as cl100k_base; needs uri: its .tiktoken file, or a directory with its files
    under their own names or as tiktoken's cache has them. Nothing is downloaded."""


class Split(SpecModel):
    """What is held back from training, by a hash of the document."""

    validation: Annotated[float, Field(strict=True, ge=0, lt=1)] = 0.001
    """Share of the documents kept for validation."""
    test: Annotated[float, Field(strict=True, ge=0, lt=1)] = 0.0
    """Share of the documents kept for a test that training never sees (data/tokenized/*.test.bin)."""


class BadRecords(SpecModel):
    """What is done with records that can't be read."""

    max_fraction: Fraction = 0.01
    """Share of a source's records that may be unreadable; more fail the job. Each one is set aside with file, line
    and cause."""
    damaged_files: Literal["fail", "set-aside"] = "fail"
    """Files that end early or are damaged: fail the job, or keep what could be read of them and count one bad record
    each."""


class Mixture(SpecModel):
    """The documented mixture of a well-known model, as weights and epochs of the job's sources."""

    preset: Literal["llama", "llama-paper", "gpt-3", "gopher", "the-pile"] = Field(examples=["llama"])
    """Whose: LLaMA's as it is usually quoted, or with the passes of its paper; GPT-3's, Gopher's, The Pile's."""
    sources: Annotated[dict[str, Name], Field(max_length=100)] = Field(default_factory=dict)
    """Which source of the job stands for which of the mixture, such as {commoncrawl: web}; default: the one of the same
    name. What isn't there is left out: weights are relative."""


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
    """Ready .bin/.idx pairs instead of sources: nothing is prepared; needs tokenizer.uri, or spec.model.vocabSize."""
    prepared: Text | None = None
    """What another job prepared: its storage.uri (pvc://claim/path; the claim is mounted read-only), or the directory
    of a local run. Tokenizer, split and weights are that job's; curriculum may give other weights."""
    shards: Annotated[PositiveInteger, Field(le=100_000)] = 8
    """Work items a stage."""
    workers: Annotated[PositiveInteger, Field(le=10_000)] = 4
    """Work items done at a time; a local run takes at most one a core."""
    pod_template: KubernetesObject = Field(default_factory=dict)
    """Merged over the pod templates of all preparation stages, such as credentials for the sources; the container
    `preparation` stands for each stage's own. For stages that haven't started."""
    extract: Extract = Extract()
    """From web pages to text."""
    clean: Clean = Clean()
    """Normalisation, filters, redaction."""
    dedup: Dedup = Dedup()
    """Removal of duplicates."""
    decontaminate: Decontaminate | None = None
    """Removal of what overlaps with evaluation sets."""
    augment: Annotated[tuple[Augmentation, ...], Field(max_length=100)] = ()
    """New documents, made of those that are left."""
    tokenizer: Tokenizer = Tokenizer(train=TrainTokenizer())
    """From text to tokens."""
    split: Split = Split()
    """What is held back for validation."""
    mixture: Mixture | None = None
    """Weights and epochs of the sources from a documented mixture, instead of their own weights."""
    curriculum: Annotated[tuple[CurriculumPhase, ...], Field(max_length=100)] = ()
    """Weights that change over training; replaces the sources' own weights."""
    bad_records: BadRecords = BadRecords()
    """Unreadable records."""
    keep_removed: Boolean = False
    """Write removed documents out with their reasons."""
