"""Planted near-duplicates: the recall is that of the theory."""

from __future__ import annotations

import numpy as np
import pytest

from pretrain_dataprep.dedup import minhash
from pretrain_dataprep.dedup.band_keys import band_keys
from pretrain_dataprep.dedup.banding import choose_bands
from pretrain_dataprep.text.batch import TextBatch

from .planted import SHINGLING, SIMILARITIES, planted_pair, true_similarities


@pytest.mark.slow
@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_recall_is_within_two_points_of_the_s_curve(similarity: float) -> None:
    """A pair of Jaccard similarity s shares a band with probability 1 − (1 − s^rows)^bands.

    200 pairs, each signed with 40 seeds: with one set of permutations alone the pairs' fates hang together.
    """
    generator = np.random.default_rng(round(1000 * similarity))
    texts = [planted_pair(generator, similarity) for _ in range(200)]
    measured = true_similarities(texts)
    assert abs(measured.mean() - similarity) < 0.01
    batch = TextBatch.of(text.encode() for pair in texts for text in pair)
    bands, rows = choose_bands(0.8, 128)
    found = []
    for seed in range(40):
        signatures, _ = minhash.signatures(batch, SHINGLING, minhash.permutations(128, "affine32", seed))
        keys = band_keys(signatures, bands, rows)
        found.append((keys[::2] == keys[1::2]).any(axis=1).mean())
    expected = (1 - (1 - measured**rows) ** bands).mean()
    assert abs(np.mean(found) - expected) < 0.02
