"""Interpolated, modified Kneser-Ney smoothing (Chen & Goodman 1998, section 3; Heafield et al. 2013 for the details).

- Counts a of the highest order are those of the text; of a lower order, the number of different words before the
  n-gram; of an n-gram that begins with <s>, again that of the text.
- Discounts of each order from t_k, the number of n-grams with count k: Y = t1 / (t1 + 2 t2),
  D_k = k - (k + 1) Y t_(k+1) / t_k for k = 1, 2, 3 (3 and more); 0.5, 1 and 1.5 where the text is too small for that.
- p(w | c) = (a(cw) - D) / sum of a(c.) + b(c) p(w | c without its first word), where b(c) is what the discounts left;
  below the unigrams is a uniform distribution over the words, </s> and the unknown word.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pretrain_dataprep.filtering.ngram_model import NgramModel
from pretrain_dataprep.kernels.perplexity import BEGIN, write_keys, write_sentences
from pretrain_dataprep.text.batch import TextBatch

_FALLBACK_DISCOUNTS = np.array([0.5, 1.0, 1.5])
_NEVER = -99.0
"""log10 of the probability of <s>, which is never predicted."""


@dataclass
class _Grams:
    """The different n-grams of one order."""

    first: np.ndarray
    """int64: where each occurs first."""
    counts: np.ndarray
    """int64: occurrences in the text."""
    prefix: np.ndarray
    """int64: number of the n-gram without its last word, of the order below."""
    suffix: np.ndarray
    """int64: number of the n-gram without its first word, of the order below."""


def train_ngram_model(texts: list[bytes], order: int) -> NgramModel:
    """Estimate a model of all n-grams of documents.

    Raises:
        ValueError: There is no word.
    """
    tokens = _tokens(texts)
    if len(tokens) == 0:
        raise ValueError("there is no word to train an n-gram model on")
    orders = _grams(tokens, order)
    begins = [tokens[grams.first] == BEGIN for grams in orders]
    counts = [_adjusted(orders, begins, level) for level in range(order)]
    keys, values = [], []
    probabilities, unknown = _unigrams(counts[0])
    for level, grams in enumerate(orders):
        if level > 0:
            own, weights = _discounted(counts[level], grams.prefix, len(orders[level - 1].first))
            probabilities = own + weights[grams.prefix] * probabilities[grams.suffix]
        keys.append(_keys(tokens, grams.first, level + 1))
        values.append(np.stack([np.log10(probabilities), _back_offs(orders, counts, level)], axis=1))
    values[0][begins[0], 0] = _NEVER
    return NgramModel.of(order, np.concatenate(keys), np.concatenate(values), float(np.log10(unknown)))


def _tokens(texts: list[bytes]) -> np.ndarray:
    batch = TextBatch.of(texts)
    room = int(batch.sizes().max(initial=0)) + 1
    # A line of one word and its end are two bytes and three tokens.
    tokens = np.empty(2 * len(batch.text) + 3 * len(batch), np.uint64)
    words, lengths, kinds = np.empty(room, np.uint64), np.empty(room, np.int32), np.empty(room, np.uint8)
    count = write_sentences(batch.text, batch.offsets, words, lengths, kinds, tokens)
    return tokens[:count].copy()


def _grams(tokens: np.ndarray, order: int) -> list[_Grams]:
    lines = np.cumsum(tokens == BEGIN)
    _, first, words, counts = np.unique(tokens, return_index=True, return_inverse=True, return_counts=True)
    vocabulary = len(first)
    orders = [_Grams(first, counts, np.zeros(vocabulary, np.int64), np.zeros(vocabulary, np.int64))]
    numbers = words.astype(np.int64)
    for length in range(2, order + 1):
        places = np.arange(max(0, len(tokens) - length + 1))
        places = places[lines[places] == lines[places + length - 1]]
        pairs = numbers[places] * vocabulary + words[places + length - 1]
        _, some, found, counts = np.unique(pairs, return_index=True, return_inverse=True, return_counts=True)
        first = places[some]
        orders.append(_Grams(first, counts, numbers[first], numbers[first + 1]))
        numbers = numbers.copy()
        numbers[places] = found
    return orders


def _adjusted(orders: list[_Grams], begins: list[np.ndarray], level: int) -> np.ndarray:
    """Return the counts that probabilities are made from; <s> alone has none."""
    grams = orders[level]
    if level == len(orders) - 1:
        counts = grams.counts
    else:
        different = np.bincount(orders[level + 1].suffix, minlength=len(grams.first))
        counts = np.where(begins[level], grams.counts, different)
    return np.where(begins[level], 0, counts) if level == 0 else counts


def _discounts(counts: np.ndarray) -> np.ndarray:
    """Return the discount of each count."""
    t1, t2, t3, t4 = (int((counts == k).sum()) for k in range(1, 5))
    discounts = _FALLBACK_DISCOUNTS
    if min(t1, t2, t3, t4) > 0:
        y = t1 / (t1 + 2 * t2)
        estimated = np.array([1 - 2 * y * t2 / t1, 2 - 3 * y * t3 / t2, 3 - 4 * y * t4 / t3])
        if (estimated > 0).all() and (estimated <= [1, 2, 3]).all():
            discounts = estimated
    by_ngram: np.ndarray = np.append(0.0, discounts)[np.minimum(counts, 3)]
    return by_ngram


def _discounted(counts: np.ndarray, contexts: np.ndarray, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Return what is left of each n-gram's share of its context, and what was taken from each context."""
    discounts = _discounts(counts)
    sums = np.bincount(contexts, weights=counts, minlength=number)
    taken = np.bincount(contexts, weights=discounts, minlength=number)
    weights = np.divide(taken, sums, out=np.ones(number), where=sums > 0)
    return (counts - discounts) / np.maximum(sums[contexts], 1), weights


def _unigrams(counts: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the probabilities of the words, and of the unknown word."""
    own, weights = _discounted(counts, np.zeros(len(counts), np.int64), 1)
    # <s> isn't predicted, the unknown word is: the number of words stays.
    uniform = float(weights[0]) / len(counts)
    return own + uniform, uniform


def _back_offs(orders: list[_Grams], counts: list[np.ndarray], level: int) -> np.ndarray:
    """Return log10 of the back-off weight of each n-gram as a context; 0 where nothing follows it."""
    number = len(orders[level].first)
    if level == len(orders) - 1:
        return np.zeros(number)
    followers = orders[level + 1]
    _, weights = _discounted(counts[level + 1], followers.prefix, number)
    followed = np.bincount(followers.prefix, minlength=number) > 0
    return np.where(followed, np.log10(np.maximum(weights, 1e-30)), 0.0)


def _keys(tokens: np.ndarray, positions: np.ndarray, length: int) -> np.ndarray:
    keys = np.empty(len(positions), np.uint64)
    write_keys(tokens, np.ascontiguousarray(positions, np.int64), length, keys)
    return keys
