"""BART's denoising."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from objective_samples import END, RESERVED, builder, samples

MASK = RESERVED["[MASK]"]


def read(batch: dict[str, np.ndarray], row: int) -> list[int]:
    present = batch["input_ids"][row][batch["attention_mask"][row] == 1]
    assert present[-1] == END
    return present[:-1].tolist()


def is_subsequence(part: list[int], whole: list[int]) -> bool:
    rest = iter(whole)
    return all(token in rest for token in part)


@settings(max_examples=150, deadline=None)
@given(
    length=st.integers(8, 120),
    noise=st.lists(st.sampled_from(["masking", "infilling", "deletion"]), min_size=1, max_size=3, unique=True),
    rate=st.sampled_from([0.0, 0.3, 0.9, 1.0]),
    seed=st.integers(0, 10**6),
)
def test_all_of_the_text_is_written_and_a_part_of_it_read(
    length: int, noise: list[str], rate: float, seed: int
) -> None:
    made = builder("encoder-decoder", length, seed, type="denoising", noise=noise, rate=rate)
    rows, batch = samples(made, 3, seed)
    for row in range(3):
        whole = rows[row, : made.shape.window].tolist()
        assert batch["labels"][row].tolist() == [*whole, END]
        kept = [token for token in read(batch, row) if token != MASK]
        assert is_subsequence(kept, whole)


def test_masking_hides_a_share_of_the_tokens_in_place() -> None:
    made = builder("encoder-decoder", 101, type="denoising", noise=["masking"])
    rows, batch = samples(made, 10_000)
    hidden = batch["input_ids"][:, :100] == MASK
    assert (hidden.sum(axis=1) == 30).all()
    assert np.array_equal(batch["input_ids"][:, :100][~hidden], rows[:, :100][~hidden])
    assert hidden.mean(axis=0).std() < 0.01


def test_deletion_leaves_a_share_of_the_tokens_out() -> None:
    batch = samples(builder("encoder-decoder", 101, type="denoising", noise=["deletion"]), 100)[1]
    assert all(len(read(batch, row)) == 70 for row in range(100))


def test_infilling_puts_one_mask_for_each_span() -> None:
    made = builder("encoder-decoder", 201, type="denoising", noise=["infilling"])
    batch = samples(made, 10_000)[1]
    masks = (batch["input_ids"] == MASK).sum(axis=1)
    lengths = batch["attention_mask"].sum(axis=1) - 1
    assert (lengths - masks == 140).all()  # 30 % of 200 are hidden
    assert 60 / masks.mean() == pytest.approx(3.0, rel=0.05)  # spans of Poisson(3) tokens


def test_sentences_are_permuted_as_a_whole() -> None:
    made = builder("encoder-decoder", 120, type="denoising", noise=["permutation"])
    rows, batch = samples(made, 200)
    moved = 0
    for row in range(200):
        whole = rows[row, : made.shape.window]
        ends = np.flatnonzero(whole[:-1] % 20 == 0) + 1
        sentences = sorted(part.tolist() for part in np.split(whole, ends))
        mixed = np.array(read(batch, row))
        assert sorted(mixed.tolist()) == sorted(whole.tolist())
        moved += not np.array_equal(mixed, whole)
        text = mixed.tolist()
        for sentence in sentences:
            width = len(sentence)
            assert any(text[i : i + width] == sentence for i in range(len(text) - width + 1))
    assert moved > 180


def test_golden() -> None:
    made = builder("encoder-decoder", 16, seed=3, type="denoising")
    batch = made.build(np.array([0, 10**12]), np.arange(310, 342).reshape(2, 16))
    assert batch["input_ids"].tolist() == [
        [310, 311, 312, 4, 317, 318, 319, 320, 321, 322, 323, 324, 3, 0, 0, 0],
        [326, 327, 328, 329, 330, 331, 332, 333, 4, 338, 339, 340, 3, 0, 0, 0],
    ]
