"""Signatures equal datasketch's bit for bit, its LSH loads them, and bands and rows are its own."""

from __future__ import annotations

import random
from typing import Literal

import numpy as np
import pytest
from datasketch import MinHash, MinHashLSH
from hypothesis import given, settings
from hypothesis import strategies as st

from pretrain_dataprep.dedup import minhash
from pretrain_dataprep.dedup.band_keys import band_keys
from pretrain_dataprep.dedup.banding import choose_bands
from pretrain_dataprep.dedup.minhash import Scheme
from pretrain_dataprep.dedup.shingles import Shingling
from pretrain_dataprep.text.batch import TextBatch
from pretrain_dataprep.text.words import words_of


def theirs(hash_values: list[int], permutations: int, seed: int, scheme: str) -> np.ndarray:
    sketch = MinHash(permutations, seed=seed, scheme=scheme, hashfunc=lambda value: value)
    for value in hash_values:
        sketch.update(value)
    return sketch.hashvalues


@pytest.mark.parametrize("scheme", ["affine32", "legacy"])
@settings(deadline=None, max_examples=50)
@given(
    hash_values=st.lists(st.integers(0, 2**32 - 1), max_size=40),
    permutations=st.integers(1, 130),
    seed=st.integers(0, 2**32 - 1),
)
def test_signature_equals_datasketch(scheme: str, hash_values: list[int], permutations: int, seed: int) -> None:
    parameters = minhash.permutations(permutations, scheme, seed)  # type: ignore[arg-type]
    ours = minhash.signature(np.array(hash_values, np.uint32), parameters)
    assert (ours == theirs(hash_values, permutations, seed, scheme)).all()


def test_golden_signature() -> None:
    """Fixed here too, so that a change of datasketch's shows as one of theirs."""
    ours = minhash.signature(np.arange(1, 6, dtype=np.uint32), minhash.permutations(4))
    assert ours.tolist() == theirs([1, 2, 3, 4, 5], 4, 1, "affine32").tolist()
    assert ours.tolist() == [63217260, 131247162, 308645290, 1412089388]


def mix(value: int) -> int:
    value ^= value >> 33
    value = value * 0xFF51AFD7ED558CCD % 2**64
    value ^= value >> 33
    value = value * 0xC4CEB9FE1A85EC53 % 2**64
    return value ^ (value >> 33)


def ngram_hashes(units: list[int], ngram: int) -> list[int]:
    """The definition, in Python integers."""
    length = min(ngram, len(units))
    hashes = []
    for first in range(len(units) - length + 1 if units else 0):
        state = 0
        for unit in units[first : first + length]:
            state = (state * 0x9E3779B97F4A7C15 + unit) % 2**64
        hashes.append(mix(state) >> 32)
    return hashes


def hashes_by_definition(text: str, shingling: Shingling) -> list[int]:
    if shingling.unit == "word":
        return ngram_hashes([int(value) for value in words_of(text)[0]], shingling.ngram)
    return ngram_hashes([mix(ord(character)) for character in " ".join(text.lower().split())], shingling.ngram)


WORDS = st.text(max_size=200)
CHARACTERS = st.text(alphabet="abAB \n\tÉé中Я-", max_size=100)


@pytest.mark.parametrize("scheme", ["affine32", "legacy"])
@pytest.mark.parametrize("unit", ["word", "character"])
@settings(deadline=None, max_examples=50)
@given(data=st.data(), ngram=st.integers(1, 7), seed=st.integers(0, 2**32 - 1))
def test_documents_are_signed_by_their_shingles(
    scheme: Scheme, unit: Literal["word", "character"], data: st.DataObject, ngram: int, seed: int
) -> None:
    texts = data.draw(st.lists(WORDS if unit == "word" else CHARACTERS, max_size=5))
    batch, shingling = TextBatch.of(text.encode() for text in texts), Shingling(ngram, unit)
    parameters = minhash.permutations(32, scheme, seed)
    signatures, shingles = minhash.signatures(batch, shingling, parameters)
    values, ends = shingling.sets(batch)
    sets = np.split(values, ends[:-1]) if texts else []
    for text, signature, count, distinct in zip(texts, signatures, shingles, sets, strict=True):
        expected = hashes_by_definition(text, shingling)
        assert count == len(expected)
        assert (signature == theirs(expected, 32, seed, scheme)).all()
        assert distinct.tolist() == sorted(set(expected))


@pytest.mark.parametrize("scheme", ["affine32", "legacy"])
def test_lsh_of_datasketch_loads_the_signatures(scheme: Scheme) -> None:
    generator = random.Random(3)
    base = [f"word{generator.randrange(500)}" for _ in range(300)]
    near = [*base[:290], "other", *base[291:]]
    far = [f"word{generator.randrange(500)}" for _ in range(300)]
    batch = TextBatch.of(" ".join(words).encode() for words in (base, near, far))
    signatures, _ = minhash.signatures(batch, Shingling(5), minhash.permutations(128, scheme, seed=7))
    bands, rows = choose_bands(0.8, 128)
    index = MinHashLSH(threshold=0.8, num_perm=128)
    assert (index.b, index.r) == (bands, rows) == (9, 13)
    for name, signature in enumerate(signatures):
        index.insert(name, MinHash(hashvalues=signature, seed=7, scheme=scheme))
    assert sorted(index.query(MinHash(hashvalues=signatures[0], seed=7, scheme=scheme))) == [0, 1]
    keys = band_keys(signatures, bands, rows)
    shared = [int((keys[0] == keys[other]).sum()) for other in (0, 1, 2)]
    equal = [
        sum(
            (signatures[0, b * rows : (b + 1) * rows] == signatures[other, b * rows : (b + 1) * rows]).all()
            for b in range(bands)
        )
        for other in (0, 1, 2)
    ]
    assert shared == equal
    assert shared[0] == 9
    assert shared[1] > 0
    assert shared[2] == 0


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95])
@pytest.mark.parametrize("permutations", [16, 64, 128, 256])
def test_bands_and_rows_are_those_of_datasketch(threshold: float, permutations: int) -> None:
    from datasketch.lsh import _optimal_param

    assert choose_bands(threshold, permutations) == _optimal_param(threshold, permutations, 0.5, 0.5)


@pytest.mark.parametrize("similarity", [0.7, 0.85, 0.95])
def test_recall_follows_the_s_curve(similarity: float) -> None:
    """Pairs of a known Jaccard similarity become candidates as often as theory says, within three standard errors."""
    bands, rows = choose_bands(0.8, 128)
    generator = np.random.default_rng(11)
    pairs, size = 400, 400
    shared = round(2 * size * similarity / (1 + similarity))
    parameters = minhash.permutations(128)
    hits = 0
    for _ in range(pairs):
        values = generator.integers(0, 2**32, 2 * size - shared, dtype=np.uint32)
        one, other = values[:size], values[size - shared :]
        signatures = np.stack([minhash.signature(one, parameters), minhash.signature(other, parameters)])
        keys = band_keys(signatures, bands, rows)
        hits += bool((keys[0] == keys[1]).any())
    exact = shared / (2 * size - shared)
    expected = 1 - (1 - exact**rows) ** bands
    assert abs(hits / pairs - expected) < 3 * (expected * (1 - expected) / pairs) ** 0.5 + 0.005
