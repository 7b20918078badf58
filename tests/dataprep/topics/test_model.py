"""Clusters are the topics that text has, and the same whatever the order of the documents."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from tests.dataprep.dedup.test_semantic import write_model

from pretrain_dataprep.dedup.embedding_model import StaticEmbeddings
from pretrain_dataprep.text.batch import TextBatch
from pretrain_dataprep.topics.features import dense_rows, inverse_document_frequencies, tf_idf, word_counts
from pretrain_dataprep.topics.kmeans import nearest, spherical_kmeans
from pretrain_dataprep.topics.model import NO_CLUSTER, TopicModel, load_words, train_topics

from .planted import TOPICS, planted_topics


def purity(labels: list[str], clusters: np.ndarray) -> float:
    """Return the share of documents that have the commonest label of their cluster."""
    by_cluster: dict[int, Counter[str]] = {}
    for label, cluster in zip(labels, clusters.tolist(), strict=True):
        by_cluster.setdefault(cluster, Counter())[label] += 1
    return sum(counts.most_common(1)[0][1] for counts in by_cluster.values()) / len(labels)


@pytest.fixture(scope="module")
def planted() -> tuple[list[str], list[bytes]]:
    found = planted_topics(1, 60)
    return [topic for topic, texts in found.items() for _ in texts], [t.encode() for ts in found.values() for t in ts]


@pytest.mark.parametrize("seed", range(5))
def test_planted_topics_are_recovered(planted: tuple[list[str], list[bytes]], seed: int) -> None:
    labels, texts = planted
    model, words = train_topics(texts, len(TOPICS), seed, None)
    clusters = model.assign(TextBatch.of(texts), None)
    assert purity(labels, clusters) >= 0.95
    of_topic = {topic: Counter(clusters[np.array(labels) == topic].tolist()).most_common(1)[0][0] for topic in TOPICS}
    spoken = {topic: words[cluster] for topic, cluster in of_topic.items()}
    assert {"message", "header"} & set(spoken["mail"])
    assert {"test", "tests", "mock"} & set(spoken["tests"])


def test_documents_that_the_clusters_were_not_found_on_are_told_apart(planted: tuple[list[str], list[bytes]]) -> None:
    model, _ = train_topics(planted[1], len(TOPICS), 1, None)
    others = planted_topics(2, 20)
    batch = TextBatch.of(text.encode() for texts in others.values() for text in texts)
    labels = [topic for topic, texts in others.items() for _ in texts]
    assert purity(labels, model.assign(batch, None)) >= 0.95


def test_order_and_repetitions_do_not_matter(planted: tuple[list[str], list[bytes]], tmp_path: Path) -> None:
    texts = planted[1]
    made = []
    for number, some in enumerate((texts, [*texts[::-1], *texts[:9]])):
        model, words = train_topics(some, 4, 7, None)
        folder = tmp_path / str(number)
        folder.mkdir()
        model.save(folder, words)
        made.append({path.name: path.read_bytes() for path in folder.iterdir()})
    assert made[0] == made[1]
    loaded = TopicModel.load(tmp_path / "0")
    batch = TextBatch.of(texts)
    assert (loaded.assign(batch, None) == model.assign(batch, None)).all()
    assert load_words(tmp_path / "0") == words
    # One by one or in a batch, a document has the same cluster.
    alone = [int(loaded.assign(TextBatch.of([text]), None)[0]) for text in texts[:40]]
    assert alone == loaded.assign(batch, None)[:40].tolist()


def test_a_document_without_known_words_has_no_cluster(planted: tuple[list[str], list[bytes]]) -> None:
    model, _ = train_topics(planted[1], 3, 1, None)
    assert model.assign(TextBatch.of([b"", b"... --- !!"]), None).tolist() == [NO_CLUSTER] * 2
    assert model.assign(TextBatch.of([]), None).tolist() == []


def test_too_few_documents_are_said() -> None:
    with pytest.raises(ValueError, match="only 2 documents that differ in their words"):
        train_topics([b"one two", b"three four", b"one two", b"..."], 3, 1, None)
    with pytest.raises(ValueError, match="only 0 documents"):
        train_topics([], 2, 1, None)


def test_tf_idf_is_that_of_the_definition() -> None:
    texts = [b"apple apple pear the", b"pear the the the", b"the fig"]
    counts = word_counts(TextBatch.of(texts))
    rows = tf_idf(counts, inverse_document_frequencies(counts))
    documents = [text.decode().split() for text in texts]
    frequencies = Counter(word for words in documents for word in set(words))
    for number, words in enumerate(documents):
        expected = sorted((1 + np.log(words.count(word))) * np.log(3 / frequencies[word]) for word in set(words))
        weights = rows.weights[rows.offsets[number] : rows.offsets[number + 1]]
        assert sorted(weights.tolist()) == pytest.approx(expected, rel=1e-6)


def test_assignment_is_to_the_greatest_cosine() -> None:
    generator = np.random.default_rng(4)
    vectors = generator.standard_normal((300, 20)).astype(np.float32)
    vectors[7] = 0
    rows = dense_rows(vectors).normalized()
    useful = rows.select(rows.lengths() > 0)
    assert len(useful) == 299
    centroids = spherical_kmeans(useful, 6, 1)
    assert np.linalg.norm(centroids, axis=0) == pytest.approx(np.ones(6), rel=1e-5)
    found = nearest(rows, centroids)
    cosines = vectors.astype(np.float64) @ centroids.astype(np.float64)
    assert found[7] == -1
    assert (np.delete(found, 7) == np.delete(cosines.argmax(axis=1), 7)).all()
    # Converged: each centroid is the direction of its members' sum.
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-30)
    for cluster in range(6):
        total = vectors[found == cluster].sum(axis=0)
        assert centroids[:, cluster] == pytest.approx(total / np.linalg.norm(total), abs=1e-4)


def test_embeddings_of_a_given_model(tmp_path: Path) -> None:
    directions = {"river": [3, 0.1, 0], "boat": [3, -0.2, 0.1], "stone": [0, 3, 0.2], "wall": [0.1, 3, -0.1]}
    model_uri = write_model(tmp_path / "model", {"[UNK]": [0, 0, 0], **directions})
    embedder = StaticEmbeddings(model_uri)
    texts = [b"river boat", b"boat boat river", b"boat", b"stone wall", b"wall wall stone", b"wall", b"nothing known"]
    model, _ = train_topics(texts, 2, 1, embedder)
    batch = TextBatch.of(texts)
    clusters = model.assign(batch, embedder.embed(batch)).tolist()
    assert len(set(clusters[:3])) == len(set(clusters[3:6])) == 1
    assert clusters[0] != clusters[3]
    assert clusters[6] == NO_CLUSTER
