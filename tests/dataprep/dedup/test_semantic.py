"""Documents of the same meaning by a static model: the pairs are those of the definition."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from pretrain_dataprep.dedup.embedding_model import StaticEmbeddings, largest_component, quantized
from pretrain_dataprep.dedup.semantic import nearest, semantic_edges, train_centroids
from pretrain_dataprep.errors import ConfigurationError
from pretrain_dataprep.text.batch import TextBatch

from .test_clusters import components


def write_model(folder: Path, vectors: dict[str, list[float]], **tensors: np.ndarray) -> str:
    """Write a static model whose tokens are words."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = {word: number for number, word in enumerate(vectors)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=next(iter(vectors))))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    save_file({"embeddings": np.array(list(vectors.values()), np.float32), **tensors}, folder / "model.safetensors")
    return str(folder)


def units_of(vectors: np.ndarray, shards: int) -> list[SimpleNamespace]:
    """Return cleaned units in memory that hold every `shards`-th vector."""
    units, first_id = [], 0
    for shard in range(shards):
        numbers = np.arange(shard, len(vectors), shards)
        hashes = np.stack(
            [numbers.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15), numbers.astype(np.uint64)], axis=1
        )
        order = np.lexsort((hashes[:, 1], hashes[:, 0]))
        arrays = {
            "embeddings.npy": vectors[numbers],
            "content-hashes.npy": hashes[order],
            "content-rows.npy": order.astype(np.uint32),
        }
        units.append(
            SimpleNamespace(documents=len(numbers), first_id=first_id, array=arrays.__getitem__, numbers=numbers)
        )
        first_id += len(numbers)
    return units


def groups(vectors: np.ndarray, shards: int, clusters: int | None, threshold: float) -> set[frozenset[int]]:
    units = units_of(vectors, shards)
    numbers = np.concatenate([unit.numbers for unit in units])
    pairs = semantic_edges(units, clusters, threshold)  # type: ignore[arg-type]
    found = components(len(vectors), [(int(numbers[one]), int(numbers[other])) for one, other in pairs])
    return {frozenset(group) for group in found}


VECTORS = st.lists(st.lists(st.integers(-3, 3), min_size=3, max_size=3), min_size=1, max_size=20).map(
    lambda rows: quantized(np.array(rows, np.float32))
)


@settings(deadline=None)
@given(VECTORS, st.sampled_from([0.8, 0.95, 0.999]))
def test_pairs_are_those_of_the_definition(vectors: np.ndarray, threshold: float) -> None:
    lengths = np.linalg.norm(vectors.astype(float), axis=1)
    similar = [
        (one, other)
        for one in range(len(vectors))
        for other in range(one)
        if lengths[one] and lengths[other]
        and vectors[one].astype(int) @ vectors[other].astype(int) >= threshold * lengths[one] * lengths[other]
    ]  # fmt: skip
    expected = {frozenset(group) for group in components(len(vectors), similar)}
    assert groups(vectors, 1, 1, threshold) == expected


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 1000), st.sampled_from([None, 3]))
def test_shards_do_not_matter(seed: int, clusters: int | None) -> None:
    generator = np.random.default_rng(seed)
    centers = generator.normal(size=(5, 16))
    vectors = quantized((centers[generator.integers(0, 5, 200)] + 0.2 * generator.normal(size=(200, 16))).astype("f"))
    one = groups(vectors, 1, clusters, 0.9)
    assert one == groups(vectors, 3, clusters, 0.9)
    assert len(one) < 200


def test_k_means_finds_clusters_that_are_there() -> None:
    generator = np.random.default_rng(3)
    centers = generator.normal(size=(4, 32))
    labels = generator.integers(0, 4, 400)
    vectors = quantized((centers[labels] + 0.1 * generator.normal(size=(400, 32))).astype(np.float32))
    # The first vectors are of all clusters: k-means from a bad start is another matter.
    first = np.array([np.flatnonzero(labels == label)[0] for label in range(4)])
    vectors, labels = np.concatenate([vectors[first], vectors]), np.concatenate([labels[first], labels])
    assigned = nearest(vectors, train_centroids(vectors, 4))
    assert (assigned == labels).all()


@pytest.mark.parametrize("dimensions", [2, 256, 1024, 4096])
def test_products_are_exact(dimensions: int) -> None:
    largest = largest_component(dimensions)
    assert dimensions * largest**2 <= 2**24
    assert largest >= 60
    vector = np.random.default_rng(1).normal(size=(2, dimensions)).astype(np.float32)
    small = quantized(vector).astype(float)
    cosines = [(v[0] @ v[1]) / np.linalg.norm(v[0]) / np.linalg.norm(v[1]) for v in (vector.astype(float), small)]
    assert abs(cosines[0] - cosines[1]) < 0.01


def test_documents_are_means_of_tokens(tmp_path: Path) -> None:
    vectors = {"?": [0.0, 0.0], "river": [1.0, 0.0], "stream": [0.9, 0.1], "stone": [0.0, 1.0]}
    model = StaticEmbeddings(write_model(tmp_path / "plain", vectors))
    embeddings = model.embed(TextBatch.of([b"river stone", b"stream", b"", b"unknown words", b"river"]))
    assert embeddings.tolist() == [[127, 127], [127, 14], [0, 0], [0, 0], [127, 0]]
    weighted = write_model(tmp_path / "weighted", vectors, weights=np.array([0, 1, 1, 3], np.float32))
    assert StaticEmbeddings(weighted).embed(TextBatch.of([b"river stone"])).tolist() == [[42, 127]]
    mapped = write_model(tmp_path / "mapped", vectors, mapping=np.array([0, 3, 2, 1]))
    assert StaticEmbeddings(mapped).embed(TextBatch.of([b"river"])).tolist() == [[0, 127]]


def test_what_is_no_model_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "a"
    write_model(folder, {"a": [1.0]})
    save_file({"other": np.zeros((1, 1), np.float32)}, folder / "model.safetensors")
    with pytest.raises(ConfigurationError, match=r"no tensor `embeddings` .*there is other"):
        StaticEmbeddings(str(folder))
    (folder / "tokenizer.json").write_text("{")
    with pytest.raises(ConfigurationError, match=r"tokenizer\.json: can't be read"):
        StaticEmbeddings(str(folder))
    (folder / "tokenizer.json").unlink()
    with pytest.raises(ConfigurationError, match=r"tokenizer\.json is missing"):
        StaticEmbeddings(str(folder))
