"""A few words that tell what a cluster is about."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict

import numpy as np

_WORD = re.compile(r"[^\W\d_]{3,24}")
_DOCUMENTS, _LEAST_DOCUMENTS_A_CLUSTER = 6_000, 4
_BEGINNING_BYTES = 4_000


def characteristic_words(texts: list[bytes], assigned: np.ndarray, clusters: int, count: int = 8) -> list[list[str]]:
    """Return the words of each cluster that add most to its Kullback-Leibler divergence from all: p · ln(p / q),
    where p is the share of the cluster's documents that have the word, and q the mean of all clusters' shares.

    Args:
        texts: UTF-8; only the beginnings of some documents of each cluster are looked at.
        assigned: The cluster of each text, -1: none; int32, shape (texts,).
        clusters: How many there are.
        count: Words a cluster.
    """
    most = max(_LEAST_DOCUMENTS_A_CLUSTER, _DOCUMENTS // clusters)
    shares = [_document_shares(texts, np.flatnonzero(assigned == one)[:most]) for one in range(clusters)]
    mean: dict[str, float] = defaultdict(float)
    for words in shares:
        for word, share in words.items():
            mean[word] += share / clusters
    return [_best(words, mean, count) for words in shares]


def _document_shares(texts: list[bytes], rows: np.ndarray) -> dict[str, float]:
    found: Counter[str] = Counter()
    for row in rows.tolist():
        beginning = texts[row][:_BEGINNING_BYTES].decode(errors="ignore").lower()
        found.update(set(_WORD.findall(beginning)))
    return {word: number / len(rows) for word, number in found.items()}


def _best(shares: dict[str, float], mean: dict[str, float], count: int) -> list[str]:
    gains = {word: share * math.log(share / mean[word]) for word, share in shares.items()}
    return sorted(gains, key=lambda word: (-gains[word], word))[:count]
