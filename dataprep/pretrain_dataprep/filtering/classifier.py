"""A linear classifier: logistic regression on the mean of a document's hashed words and word pairs.

The features of fastText (Joulin et al. 2017, "Bag of Tricks for Efficient Text Classification") without its hidden
layer, so that the optimum is unique: minimised is the mean logistic loss, both sides with the same weight, plus
L2_PENALTY / 2 · |weights|². The same text makes the same classifier, whatever the order of its documents.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pretrain_dataprep.kernels.classifier import write_features, write_scores
from pretrain_dataprep.text.batch import TextBatch

BUCKETS = 1 << 18
L2_PENALTY = 1e-6
_MAX_ITERATIONS = 200


@dataclass(frozen=True)
class LinearClassifier:
    """Weights of hashed words and word pairs."""

    weights: np.ndarray
    """float32, shape (buckets,); their number is a power of two."""
    bias: float

    def scores(self, batch: TextBatch) -> np.ndarray:
        """Return the probability of each document to be like the positive examples: float64, shape (documents,)."""
        scores = np.empty(len(batch))
        write_scores(batch.text, batch.offsets, *_room(batch), self.weights, self.bias, scores)
        return scores

    def save(self, path: Path) -> None:
        """Write it as .npy, the bias last."""
        with path.open("wb") as file:
            np.save(file, np.append(self.weights, np.float32(self.bias)))

    @classmethod
    def load(cls, path: Path) -> LinearClassifier:
        """Read it."""
        values = np.load(path)
        return cls(np.ascontiguousarray(values[:-1]), float(values[-1]))


def _room(batch: TextBatch) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    longest = int(batch.sizes().max(initial=0)) + 1
    return np.empty(longest, np.uint64), np.empty(longest, np.int32), np.empty(longest, np.uint8)


def train_classifier(positive: list[bytes], negative: list[bytes], buckets: int = BUCKETS) -> LinearClassifier:
    """Train a classifier on examples; takes some 12 bytes of memory a byte of text."""
    from scipy.optimize import minimize

    batch = TextBatch.of([*positive, *negative])
    features, row_weights = _features(batch, buckets), np.empty(len(batch))
    signs = np.repeat([1.0, -1.0], [len(positive), len(negative)])
    row_weights[: len(positive)], row_weights[len(positive) :] = 0.5 / len(positive), 0.5 / len(negative)
    transposed = features.T.tocsr()

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        weights, bias = parameters[:-1], parameters[-1]
        margins = signs * (features @ weights + bias)
        value = row_weights @ np.logaddexp(0.0, -margins) + 0.5 * L2_PENALTY * (weights @ weights)
        slopes = -row_weights * signs / (1.0 + np.exp(margins))
        return float(value), np.append(transposed @ slopes + L2_PENALTY * weights, slopes.sum())

    start = np.zeros(buckets + 1)
    options = {"maxiter": _MAX_ITERATIONS, "gtol": 1e-7, "ftol": 1e-12}
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options=options).x
    return LinearClassifier(found[:-1].astype(np.float32), float(np.float32(found[-1])))


def _features(batch: TextBatch, buckets: int):  # type: ignore[no-untyped-def] # SciPy has no types.
    """Return the mean of each document's features: a sparse matrix, shape (documents, buckets)."""
    from scipy.sparse import csr_array

    found = np.empty(len(batch.text) + 2 * len(batch) + 2, np.int32)
    offsets = np.empty(len(batch) + 1, np.int64)
    count = write_features(batch.text, batch.offsets, *_room(batch), buckets, found, offsets)
    sizes = np.diff(offsets)
    values = np.repeat(1.0 / np.maximum(sizes, 1), sizes)
    matrix = csr_array((values, found[:count].copy(), offsets), shape=(len(batch), buckets))
    matrix.sum_duplicates()
    return matrix
