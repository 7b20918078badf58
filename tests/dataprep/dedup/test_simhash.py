"""SimHash by its definition; sketches that differ in few bits share a key."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pretrain_dataprep.dedup import simhash
from pretrain_dataprep.dedup.shingles import Shingling
from pretrain_dataprep.text.batch import TextBatch

from .test_minhash import hashes_by_definition, mix


@settings(deadline=None, max_examples=50)
@given(texts=st.lists(st.text(max_size=100), max_size=5), ngram=st.integers(1, 4))
def test_bits_are_majorities(texts: list[str], ngram: int) -> None:
    shingling = Shingling(ngram)
    sketches, counts = simhash.sketches(TextBatch.of(text.encode() for text in texts), shingling)
    for text, sketch, count in zip(texts, sketches, counts, strict=True):
        features = [mix((value + 0x9E3779B97F4A7C15) % 2**64) for value in hashes_by_definition(text, shingling)]
        bits = [2 * sum(feature >> bit & 1 for feature in features) > len(features) for bit in range(64)]
        assert sketch == sum(1 << bit for bit in range(64) if bits[bit])
        assert count == len(features)


@pytest.mark.parametrize(("max_distance", "tables"), [(0, 1), (1, 4), (2, 10), (3, 20), (7, 120)])
def test_few_different_bits_share_a_key(max_distance: int, tables: int) -> None:
    generator = np.random.default_rng(max_distance)
    assert len(simhash.masks(max_distance)) == tables
    for _ in range(300):
        one = int(generator.integers(0, 2**64, dtype=np.uint64))
        flipped = sum(1 << int(bit) for bit in generator.choice(64, max_distance, replace=False))
        keys = simhash.masked_keys(np.array([one, one ^ flipped], np.uint64), max_distance)
        assert (keys[0] == keys[1]).any()
    assert len(np.unique(keys[0])) == tables, "no key of one table is one of another"
