"""Masked language modelling and sentence pairs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from objective_samples import END, FIRST_WORD, PAD, RESERVED, SIZE, builder, samples, text, vocabulary

from pretrain_trainer.objectives.recipes import span_distribution

CLS, SEP, MASK = (RESERVED[name] for name in ("[CLS]", "[SEP]", "[MASK]"))
UNITS = ["token", "word", "span"]


def originals(batch: dict[str, np.ndarray]) -> np.ndarray:
    """Return the inputs with every masked token put back."""
    return np.where(batch["labels"] != -100, batch["labels"], batch["input_ids"])


@settings(max_examples=150, deadline=None)
@given(
    length=st.integers(8, 150),
    unit=st.sampled_from(UNITS),
    rate=st.sampled_from([0.0, 0.15, 0.4, 1.0]),
    document=st.sampled_from([0, 3, 20]),
    seed=st.integers(0, 10**6),
)
def test_labels_are_the_text_and_special_tokens_stay(
    length: int, unit: str, rate: float, document: int, seed: int
) -> None:
    made = builder("encoder", length, seed, type="masked-lm", maskUnit=unit, rate=rate)
    rows, batch = samples(made, 3, seed, document)
    text_width = made.shape.window
    assert text_width == length - 2
    assert np.array_equal(originals(batch), np.column_stack((np.full(3, CLS), rows[:, :text_width], np.full(3, SEP))))
    masked = batch["labels"] != -100
    assert (batch["labels"][masked] >= FIRST_WORD).all()
    changed = masked & (batch["input_ids"] != batch["labels"])
    assert ((batch["input_ids"][changed] == MASK) | (batch["input_ids"][changed] >= FIRST_WORD)).all()
    ordinary = (rows[:, :text_width] != END).sum(axis=1)
    budget = np.maximum(1, np.rint(ordinary * rate)) if rate else 0 * ordinary
    assert (masked.sum(axis=1) <= budget).all()
    if unit == "token":
        assert (masked.sum(axis=1) == np.minimum(budget, ordinary)).all()


@pytest.mark.parametrize("unit", UNITS)
def test_of_the_masked_80_percent_are_hidden_10_random_10_kept(unit: str) -> None:
    batch = samples(builder("encoder", 64, type="masked-lm", maskUnit=unit), 20_000)[1]
    masked = batch["labels"] != -100
    inputs, labels = batch["input_ids"][masked], batch["labels"][masked]
    assert masked.sum() > 100_000
    assert (inputs == MASK).mean() == pytest.approx(0.8, abs=0.01)
    assert (inputs == labels).mean() == pytest.approx(0.1 + 0.1 / 700, abs=0.008)
    replaced = inputs[(inputs != MASK) & (inputs != labels)]
    assert np.unique(replaced).size == SIZE - FIRST_WORD
    assert masked.mean(axis=0)[1:-1].std() < 0.02  # all places alike


@pytest.mark.parametrize(("unit", "least"), [("token", 0.149), ("word", 0.145), ("span", 0.145)])
def test_15_percent_are_masked(unit: str, least: float) -> None:
    labels = samples(builder("encoder", 512, type="masked-lm", maskUnit=unit), 500)[1]["labels"][:, 1:-1]
    assert least < (labels != -100).mean() <= 0.15


def test_words_are_masked_as_a_whole() -> None:
    starts = vocabulary().word_starts
    assert starts is not None
    batch = samples(builder("encoder", 64, type="masked-lm", maskUnit="word"), 500)[1]
    masked, text = batch["labels"] != -100, originals(batch)
    continues = ~starts[text[:, 2:-1]]  # a token that goes on with the word of the token before it
    assert (masked[:, 2:-1] == masked[:, 1:-2])[continues].all()
    assert masked.any()


def test_spans_are_contiguous_words_of_a_mean_length() -> None:
    distribution = np.diff(span_distribution(3.8), prepend=0)
    assert distribution.size == 10
    assert (distribution * np.arange(1, 11)).sum() == pytest.approx(3.8)
    assert distribution[1] / distribution[0] == pytest.approx(0.8, abs=0.002)  # geometric, p = 0.2
    long = np.diff(span_distribution(20.0), prepend=0)
    assert (long * np.arange(1, long.size + 1)).sum() == pytest.approx(20.0)
    masked = samples(builder("encoder", 512, type="masked-lm", maskUnit="span"), 300)[1]["labels"] != -100
    runs = (masked[:, 1:] & ~masked[:, :-1]).sum()
    assert masked.sum() / runs > 4  # tokens a run: words of three tokens, spans of several words, cut by budgets


def pieces(batch: dict[str, np.ndarray], row: int) -> tuple[list[int], list[int]]:
    """Return the two texts of a pair."""
    whole, types = originals(batch)[row], batch["token_type_ids"][row]
    present = batch["attention_mask"][row] == 1
    first, second = whole[present & (types == 0)], whole[present & (types == 1)]
    assert first[0] == CLS
    assert first[-1] == second[-1] == SEP
    return first[1:-1].tolist(), second[:-1].tolist()


def test_order_of_sentences() -> None:
    made = builder("encoder", 64, type="masked-lm", sentencePairs="sop")
    rows, batch = samples(made, 10_000, document=40)
    for row in range(1000):
        one, other = pieces(batch, row)
        joined = other + one if batch["sentence_labels"][row] else one + other
        assert joined == rows[row, : made.shape.window].tolist()
        assert one
        assert other
    assert batch["sentence_labels"].mean() == pytest.approx(0.5, abs=0.02)


def test_pairs_are_cut_after_a_sentence_inside_a_document() -> None:
    made = builder("encoder", 128, type="masked-lm", sentencePairs="sop")
    _, batch = samples(made, 500, document=40)
    cuts = []
    for row in range(500):
        one, other = pieces(batch, row)
        before = other if batch["sentence_labels"][row] else one
        cuts.append(before[-1])
    assert END not in cuts
    assert np.mean(np.array(cuts) % 20 == 0) > 0.9


def test_next_sentence() -> None:
    made = builder("encoder", 64, type="masked-lm", sentencePairs="nsp")
    rows, partners = text(10_000, made.shape.window), text(10_000, made.shape.window, 99)
    batch = made.build(np.arange(10_000), rows, partners=partners)
    for row in range(1000):
        one, other = pieces(batch, row)
        source = partners[row] if batch["sentence_labels"][row] else rows[row, len(one) :]
        assert one == rows[row, : len(one)].tolist()
        assert other == source[: len(other)].tolist()
        assert len(one) + len(other) == made.shape.window
    assert batch["sentence_labels"].mean() == pytest.approx(0.5, abs=0.02)


def test_short_rows_are_filled_up() -> None:
    made = builder("encoder", 16, type="masked-lm")
    batch = made.build(np.zeros(1, dtype=np.int64), text(1, 14), np.array([5]))
    assert batch["attention_mask"].tolist() == [[1] * 7 + [0] * 9]
    assert (batch["input_ids"][0, 7:] == PAD).all()
    assert (batch["labels"][0, 6:] == -100).all()


def test_golden() -> None:
    made = builder("encoder", 14, seed=3, type="masked-lm", rate=0.4)
    batch = made.build(np.array([0, 10**12]), np.arange(300, 326).reshape(2, 13))
    assert batch["input_ids"].tolist() == [
        [5, 300, 4, 302, 303, 304, 305, 4, 4, 4, 309, 4, 311, 6],
        [5, 313, 314, 4, 4, 317, 318, 319, 320, 321, 4, 323, 4, 6],
    ]
    predicted = [labels[labels != -100].tolist() for labels in batch["labels"]]
    assert predicted == [[301, 306, 307, 308, 310], [313, 315, 316, 322, 324]]  # 313 is kept as it is
