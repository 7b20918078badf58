"""What happens to a batch of documents: normalise, filter, redact, hash, sign."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xxhash

from pretrain_api.spec.data import Data, Normalize, Source
from pretrain_api.spec.dedup import SemanticDeduplication
from pretrain_dataprep.cleaning.model_filters import ModelFilters
from pretrain_dataprep.cleaning.sieve import Sieve
from pretrain_dataprep.cleaning.unit_layout import QUALITY, TOPICS
from pretrain_dataprep.decontamination.decontaminator import REASON as CONTAMINATED
from pretrain_dataprep.decontamination.decontaminator import Decontaminator
from pretrain_dataprep.dedup.embedding_model import StaticEmbeddings, load_model
from pretrain_dataprep.dedup.sketching import Sketches, sketcher_of
from pretrain_dataprep.sources.interface import Document
from pretrain_dataprep.text.batch import TextBatch
from pretrain_dataprep.text.filters import filters_for
from pretrain_dataprep.text.pii import Redactor
from pretrain_dataprep.text.presets import Filters
from pretrain_dataprep.text.tidy import normalize_unicode, tidy
from pretrain_dataprep.topics.model import MODEL_FIELD, TopicModel


@dataclass
class CleanedBatch:
    """What is left of a batch, and what was removed."""

    kept: TextBatch
    kept_from: np.ndarray
    """int64, shape (kept,): index into the batch as read."""
    characters: np.ndarray
    """int64, shape (kept,), before redaction."""
    content_hashes: np.ndarray
    """uint64, shape (kept, 2): high and low half of the xxh3-128 of the final text."""
    sketches: Sketches | None
    """Of the kept documents; None: near-duplicates aren't looked for."""
    embeddings: np.ndarray | None
    """int8, shape (kept, dimensions); None: meanings aren't compared."""
    numbers: dict[str, np.ndarray]
    """More that is known of each kept document, as of `Cleaner.numbers`: shape (kept,) each."""
    removed: list[tuple[int, str]]
    """(index into the batch as read, reason)."""
    removed_lines: Counter[str]
    """Lines removed from documents, by reason."""
    tags: list[list[str]]
    """Of each kept document."""
    languages: Counter[str]
    """Documents by identified language, where languages are looked at."""
    language_bytes: Counter[str]
    """Their bytes."""
    redacted: Counter[str]
    contamination: Counter[str]
    """Documents that overlap with each item of the evaluation sets."""


class Cleaner:
    """The job's cleaning for one source."""

    def __init__(self, data: Data, source: Source, seed: int, models: Path) -> None:
        """Load what it needs; `models` is the folder that the filter-models stage writes (not every job needs it)."""
        clusters = data.clean.clusters
        self._normalize: Normalize = data.clean.normalize
        self._filters: Filters = filters_for(data.clean, source.language)
        self._model_filters = ModelFilters(data.clean, models)
        self._redactor = Redactor(data.clean.pii.redact, seed)
        self._decontaminator = (
            Decontaminator(data.decontaminate, data.clean.normalize) if data.decontaminate is not None else None
        )
        semantic = data.dedup.semantic
        self.embedder = load_model(semantic.model) if semantic is not None else None
        self.numbers = numbers_of(data)
        self._topics = TopicModel.load(models) if clusters is not None else None
        self._topic_embedder = _topic_embedder(clusters.model, semantic) if clusters is not None else None
        self.sketcher = sketcher_of(data.dedup.near) if data.dedup.near is not None else None

    def clean(self, documents: list[Document]) -> CleanedBatch:
        """Clean a batch."""
        batch = tidy(TextBatch.of(normalize_unicode(document.text, self._normalize).encode() for document in documents))
        sieve = Sieve(batch)
        sieve.filter(self._filters)
        self._model_filters.filter(sieve)
        contamination = self._decontaminate(sieve)
        kept, counts = self._redactor.redact(sieve.batch)
        embeddings = self.embedder.embed(kept) if self.embedder else None
        return CleanedBatch(
            kept=kept,
            kept_from=sieve.rows,
            characters=sieve.characters,
            content_hashes=content_hashes(kept),
            sketches=self.sketcher.sketch(kept) if self.sketcher else None,
            embeddings=embeddings,
            numbers=self._numbers(sieve, kept, embeddings),
            removed=sorted(sieve.removed),
            removed_lines=sieve.removed_lines,
            tags=sieve.tags,
            languages=sieve.languages,
            language_bytes=sieve.language_bytes,
            redacted=Counter(counts),
            contamination=contamination,
        )

    def _numbers(self, sieve: Sieve, kept: TextBatch, embeddings: np.ndarray | None) -> dict[str, np.ndarray]:
        """Return scores and clusters, where they are wanted; `embeddings` are those of `self.embedder`."""
        found: dict[str, np.ndarray] = {}
        if self._topics is not None:
            if self._topic_embedder is not self.embedder:
                embeddings = self._topic_embedder.embed(kept) if self._topic_embedder is not None else None
            found[TOPICS] = self._topics.assign(kept, embeddings)
        if QUALITY in self.numbers:
            found[QUALITY] = sieve.quality
        return found

    def _decontaminate(self, sieve: Sieve) -> Counter[str]:
        """Cut or drop what overlaps with evaluation sets; return the documents that overlap with each item."""
        if self._decontaminator is None:
            return Counter()
        checked = self._decontaminator.check(sieve.batch)
        sieve.batch = checked.batch
        sieve.drop([CONTAMINATED if dropped else None for dropped in checked.dropped])
        return checked.hits


def _topic_embedder(model: str | None, semantic: SemanticDeduplication | None) -> StaticEmbeddings | None:
    """Return the model that clusters are found with; the same object where semantic duplicates are found with it."""
    if model is None:
        return None
    return load_model(model) if semantic is not None and semantic.model == model else load_model(model, MODEL_FIELD)


def numbers_of(data: Data) -> dict[str, type]:
    """Return the type of each further number that is kept of documents, by the file that it is written to."""
    numbers: dict[str, type] = {}
    if data.clean.clusters is not None:
        numbers[TOPICS] = np.uint16
    if data.dedup.keep == "quality":
        numbers[QUALITY] = np.float32
    return numbers


def content_hashes(batch: TextBatch) -> np.ndarray:
    """Return the xxh3-128 of each document: uint64, shape (documents, 2), high half first."""
    digests = b"".join(xxhash.xxh3_128_digest(document) for document in batch.documents())
    return np.frombuffer(digests, ">u8").astype(np.uint64).reshape(-1, 2)
