"""Which cluster a document belongs to: centroids, found once on a sample and saved in data/filters/."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xxhash

from pretrain_dataprep.dedup.embedding_model import StaticEmbeddings
from pretrain_dataprep.files import json_bytes, write_array
from pretrain_dataprep.text.batch import TextBatch
from pretrain_dataprep.topics.features import (
    Rows,
    dense_rows,
    inverse_document_frequencies,
    joined,
    tf_idf,
    word_counts,
)
from pretrain_dataprep.topics.kmeans import nearest, spherical_kmeans
from pretrain_dataprep.topics.words import characteristic_words

NO_CLUSTER = 0xFFFF
"""Of a document that has nothing in common with any cluster, such as one without words."""
MODEL_FIELD = "spec.data.clean.clusters.model"
_CENTROIDS, _IDF, _WORDS = "clusters-centroids.npy", "clusters-idf.npy", "clusters.json"
_DOCUMENTS_AT_A_TIME = 1024


@dataclass(frozen=True)
class TopicModel:
    """Centroids, and how a document becomes a vector."""

    centroids: np.ndarray
    """float32, shape (dimensions, clusters), each of length 1."""
    idf: np.ndarray | None
    """float32, shape (dimensions,), of TF-IDF; None: vectors are embeddings."""

    def assign(self, batch: TextBatch, embeddings: np.ndarray | None) -> np.ndarray:
        """Return the cluster of each document: uint16, shape (documents,).

        Args:
            batch: The documents.
            embeddings: Theirs, int8, shape (documents, dimensions); None: vectors are TF-IDF.
        """
        found = nearest(_rows(batch, embeddings, self.idf), self.centroids)
        return np.where(found < 0, NO_CLUSTER, found).astype(np.uint16)

    def save(self, folder: Path, words: list[list[str]]) -> None:
        """Write it, with the words of each cluster."""
        write_array(folder / _CENTROIDS, self.centroids)
        if self.idf is not None:
            write_array(folder / _IDF, self.idf)
        (folder / _WORDS).write_bytes(json_bytes({"words": words}))

    @classmethod
    def load(cls, folder: Path) -> TopicModel:
        """Map it into memory: processes share it."""
        idf = np.load(folder / _IDF) if (folder / _IDF).exists() else None
        return cls(np.load(folder / _CENTROIDS, mmap_mode="r"), idf)


def load_words(folder: Path) -> list[list[str]]:
    """Return the characteristic words of each cluster."""
    words: list[list[str]] = json.loads((folder / _WORDS).read_bytes())["words"]
    return words


def train_topics(
    texts: list[bytes], clusters: int, seed: int, embedder: StaticEmbeddings | None
) -> tuple[TopicModel, list[list[str]]]:
    """Find clusters; return the model and the characteristic words of each.

    Args:
        texts: A sample, UTF-8; its order and repetitions don't matter.
        clusters: How many.
        seed: Of the first centroids.
        embedder: Makes vectors; None: they are TF-IDF.

    Raises:
        ValueError: There are fewer different documents with words than clusters.
    """
    # By a hash, whatever was read first: rows of the beginning are a sample themselves.
    texts = [text for _, text in sorted({xxhash.xxh3_128_intdigest(text): text for text in texts}.items())]
    pieces = [_counted(some, embedder) for some in _batches(texts)]
    counts = joined(pieces or [_counted(TextBatch.of([]), embedder)])
    idf = inverse_document_frequencies(counts) if embedder is None else None
    rows = (counts if idf is None else tf_idf(counts, idf)).normalized()
    useful = rows.select(rows.lengths() > 0)
    if len(useful) < clusters:
        raise ValueError(f"the sample has only {len(useful):,} documents that differ in their words")
    model = TopicModel(spherical_kmeans(useful, clusters, seed), idf)
    return model, characteristic_words(texts, nearest(rows, model.centroids), clusters)


def _batches(texts: list[bytes]) -> list[TextBatch]:
    return [
        TextBatch.of(texts[first : first + _DOCUMENTS_AT_A_TIME])
        for first in range(0, len(texts), _DOCUMENTS_AT_A_TIME)
    ]


def _counted(batch: TextBatch, embedder: StaticEmbeddings | None) -> Rows:
    return word_counts(batch) if embedder is None else dense_rows(embedder.embed(batch))


def _rows(batch: TextBatch, embeddings: np.ndarray | None, idf: np.ndarray | None) -> Rows:
    if idf is not None:
        return tf_idf(word_counts(batch), idf)
    assert embeddings is not None
    return dense_rows(embeddings)
