"""Embeddings of documents by a static model: the mean of a vector for each token.

Needs no more than NumPy and a tokenizer, and reads some MB/s a core: what a pass over a whole corpus can afford. The
format is that of model2vec and of sentence-transformers' StaticEmbedding: `tokenizer.json`, and `model.safetensors`
with a tensor `embeddings` (or `embedding.weight`) of a vector for each token, maybe `weights` of tokens and a `mapping`
of tokens to vectors.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from pretrain_dataprep.errors import ConfigurationError, InputError
from pretrain_dataprep.manifests import Input
from pretrain_dataprep.sources.storage import file_store, hash_range
from pretrain_dataprep.text.batch import TextBatch

TOKENIZER, TENSORS = "tokenizer.json", "model.safetensors"
INPUT_PREFIX = "embedding model "
"""In front of the names of the model's files among the inputs of a unit."""
SEMANTIC_FIELD = "spec.data.dedup.semantic.model"
"""Where a job names a model, for messages."""


def model_inputs(uri: str, field: str = SEMANTIC_FIELD) -> list[Input]:
    """Return the files of a model as inputs of a unit; `field` is where the job names it."""
    store = file_store(uri)
    files = _files(uri, field)
    return [
        Input(f"{INPUT_PREFIX}{name}", size, hash_range(store, path, 0, size, to_line_end=False))
        for name, (path, size) in sorted(files.items())
    ]


def _files(uri: str, field: str) -> dict[str, tuple[str, int]]:
    """Return path and size of the model's files by name. Raises ConfigurationError if one is missing."""
    try:
        listed = file_store(uri).list_files(uri)
    except InputError as error:
        raise ConfigurationError(f"{field}: {uri}: the model can't be read ({error}); give its directory") from error
    files = {file.path.rsplit("/", 1)[-1]: (file.path, file.size) for file in listed}
    for name in (TOKENIZER, TENSORS):
        if name not in files:
            raise ConfigurationError(
                f"{field}: {uri}: {name} is missing; give the directory of a static embedding model (model2vec, or "
                f"sentence-transformers' StaticEmbedding): {TOKENIZER} and {TENSORS}"
            )
    return {name: files[name] for name in (TOKENIZER, TENSORS)}


@lru_cache(maxsize=2)
def load_model(uri: str, field: str = SEMANTIC_FIELD) -> StaticEmbeddings:
    """Read a model, once for all sources of a work item; `field` is where the job names it."""
    return StaticEmbeddings(uri, field)


class StaticEmbeddings:
    """A static model."""

    def __init__(self, uri: str, field: str = SEMANTIC_FIELD) -> None:
        """Read it. Raises ConfigurationError if it isn't one."""
        from safetensors import SafetensorError
        from safetensors.numpy import load
        from tokenizers import Tokenizer

        content = {name: _read(uri, path) for name, (path, _) in _files(uri, field).items()}
        try:
            tensors = load(content[TENSORS])
            self._tokenizer = Tokenizer.from_str(content[TOKENIZER].decode())
        except (SafetensorError, ValueError) as error:
            raise ConfigurationError(f"{field}: {uri}: the model can't be read: {error}; is it whole?") from error
        except Exception as error:
            # What `tokenizers` raises is Exception itself.
            raise ConfigurationError(f"{field}: {uri}/{TOKENIZER}: can't be read: {error}; is it whole?") from error
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._vectors = _token_vectors(tensors, uri, field)

    @property
    def dimensions(self) -> int:
        """Length of an embedding."""
        return int(self._vectors.shape[1])

    def embed(self, batch: TextBatch) -> np.ndarray:
        """Return the embeddings of documents as of `quantized`; zeros for one without known tokens."""
        texts = [document.decode() for document in batch.documents()]
        encoded = self._tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        means = np.zeros((len(texts), self.dimensions), np.float32)
        for row, encoding in enumerate(encoded):
            tokens = np.array(encoding.ids, np.int64)
            tokens = tokens[tokens < len(self._vectors)]
            if len(tokens):
                means[row] = self._vectors[tokens].mean(axis=0)
        return quantized(means)


def _read(uri: str, path: str) -> bytes:
    with file_store(uri).open(path) as file:
        return file.read()


def _token_vectors(tensors: dict[str, Any], uri: str, field: str) -> np.ndarray:
    """Return a vector for each token: float32, shape (tokens, dimensions)."""
    found = next((tensors[name] for name in ("embeddings", "embedding.weight") if name in tensors), None)
    if found is None or found.ndim != 2:
        raise ConfigurationError(
            f"{field}: {uri}/{TENSORS}: no tensor `embeddings` of tokens x dimensions (there is "
            f"{', '.join(sorted(tensors)) or 'nothing'}); give a static embedding model"
        )
    vectors: np.ndarray = found.astype(np.float32)
    if "mapping" in tensors:
        vectors = vectors[tensors["mapping"].astype(np.int64)]
    if "weights" in tensors:
        vectors = vectors * tensors["weights"].astype(np.float32)[:, None]
    return vectors


def largest_component(dimensions: int) -> int:
    """Return the greatest integer that components are rounded to.

    Products of two vectors' components then add up to less than 2²⁴, in float32 without any rounding: similarities are
    the same whatever the order of summation, so they don't depend on the machine, its threads or the shards.
    """
    return min(127, int(np.sqrt((1 << 24) / dimensions)))


def quantized(vectors: np.ndarray) -> np.ndarray:
    """Return vectors with their directions, rounded to small integers: int8, shape (vectors, dimensions).

    Changes a cosine by some 0.001.
    """
    largest = np.abs(vectors).max(axis=1, keepdims=True, initial=0)
    scaled = vectors * (largest_component(vectors.shape[1]) / np.where(largest > 0, largest, 1))
    result: np.ndarray = np.rint(scaled).astype(np.int8)
    return result
