"""Causal and prefix language modelling, fill-in-the-middle."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from objective_samples import END, PAD, RESERVED, builder, samples, text

PREFIX, MIDDLE, SUFFIX = (RESERVED[name] for name in ("<fim_prefix>", "<fim_middle>", "<fim_suffix>"))


def test_causal_predicts_each_next_token() -> None:
    rows, batch = samples(builder("decoder", type="causal-lm"), 5)
    assert sorted(batch) == ["input_ids", "labels"]
    assert np.array_equal(batch["input_ids"], rows[:, :-1])
    assert np.array_equal(batch["labels"], rows[:, 1:])


def test_short_rows_are_filled_up_with_what_does_not_count() -> None:
    made = builder("decoder", 8, type="causal-lm")
    rows = text(2, 8)
    batch = made.build(np.arange(2), rows, np.array([4, 9]))
    assert batch["input_ids"][0].tolist() == [*rows[0, :3].tolist(), *[PAD] * 5]
    assert batch["labels"][0].tolist() == [*rows[0, 1:4].tolist(), *[-100] * 5]
    assert np.array_equal(batch["labels"][1], rows[1, 1:])


def test_documents_and_positions_within_them() -> None:
    made = builder("decoder", 8, type="causal-lm", documentMasking=True)
    rows = np.array([[500, 501, END, 502, END, 503, 504, 505, 506]])
    batch = made.build(np.zeros(1, dtype=np.int64), rows)
    assert batch["document_ids"].tolist() == [[0, 0, 0, 1, 1, 2, 2, 2]]
    assert batch["position_ids"].tolist() == [[0, 1, 2, 0, 1, 0, 1, 2]]


def test_a_prefix_is_kept_and_the_rest_predicted() -> None:
    rows, batch = samples(builder("decoder", type="prefix-lm"), 200)
    assert np.array_equal(batch["input_ids"], rows[:, :-1])
    for row, labels, prefix in zip(rows, batch["labels"], batch["prefix_lengths"], strict=True):
        assert (labels[: prefix - 1] == -100).all()
        assert np.array_equal(labels[prefix - 1 :], row[prefix:])


def test_prefixes_are_equally_likely() -> None:
    prefixes = samples(builder("decoder", 16, type="prefix-lm"), 32_000)[1]["prefix_lengths"]
    counts = np.bincount(prefixes, minlength=17)[1:]
    assert counts.size == 16
    assert abs(counts - 2000).max() < 5 * 2000**0.5


def test_an_encoder_reads_the_prefix_and_the_decoder_writes_the_rest() -> None:
    made = builder("encoder-decoder", 32, type="prefix-lm")
    rows, batch = samples(made, 100)
    for row, inputs, mask, labels in zip(
        rows, batch["input_ids"], batch["attention_mask"], batch["labels"], strict=True
    ):
        read, written = inputs[mask == 1], labels[labels != -100]
        assert read[-1] == END
        assert written[-1] == END
        assert np.array_equal(np.concatenate((read[:-1], written[:-1])), row[:32])


def restored(tokens: list[int]) -> list[int]:
    """Put the middle of a permuted document back in its place."""
    if tokens[:1] != [PREFIX]:
        return tokens
    suffix, middle = tokens.index(SUFFIX), tokens.index(MIDDLE)
    if suffix == 1:
        return tokens[middle + 1 :] + tokens[2:middle]
    return tokens[1:suffix] + tokens[middle + 1 :] + tokens[suffix + 1 : middle]


def documents(sequence: np.ndarray) -> list[list[int]]:
    parts: list[list[int]] = [[]]
    for token in sequence.tolist():
        parts[-1].append(token)
        if token == END:
            parts.append([])
    return parts


@settings(max_examples=150, deadline=None)
@given(
    length=st.integers(8, 100),
    document=st.sampled_from([0, 2, 5, 30]),
    seed=st.integers(0, 10**6),
    rate=st.sampled_from([0.0, 0.5, 1.0]),
)
def test_permuted_documents_can_be_put_together_again(length: int, document: int, seed: int, rate: float) -> None:
    made = builder("decoder", length, type="fill-in-the-middle", rate=rate)
    rows, batch = samples(made, 3, seed, document)
    for row, inputs, labels in zip(rows, batch["input_ids"], batch["labels"], strict=True):
        sequence = np.append(inputs, labels[-1])
        assert np.array_equal(inputs[1:], labels[:-1])  # every token is predicted
        pieces = []
        for piece in documents(sequence):
            ends = piece[-1:] == [END]
            pieces += restored(piece[:-1] if ends else piece) + [END] * ends
        marks = int(np.isin(sequence, (PREFIX, SUFFIX, MIDDLE)).sum())
        assert len(pieces) == length + 1 - marks
        assert marks % 3 == 0
        assert pieces == row[: len(pieces)].tolist()  # nothing is left out but the end


def test_half_of_the_documents_are_permuted_half_of_these_with_the_suffix_first() -> None:
    inputs = samples(builder("decoder", 64, type="fill-in-the-middle"), 20_000)[1]["input_ids"]
    permuted = inputs[:, 0] == PREFIX
    assert abs(permuted.mean() - 0.5) < 0.02
    assert abs((inputs[permuted, 1] == SUFFIX).mean() - 0.5) < 0.03  # and 1 of 62 has an empty prefix


def test_middles_have_all_lengths() -> None:
    made = builder("decoder", 64, type="fill-in-the-middle", rate=1.0, spmRate=0.0)
    batch = samples(made, 20_000)[1]
    sequences = np.column_stack((batch["input_ids"], batch["labels"][:, -1]))
    middles = 64 - np.argmax(sequences == MIDDLE, axis=1)
    assert abs(middles.mean() - 62 / 3) < 0.5  # the gap between two uniform cuts
    assert middles.min() == 0
    assert middles.max() > 55


def test_golden() -> None:
    index, rows = np.array([0, 1, 10**12]), np.arange(300, 339).reshape(3, 13)
    prefix = builder("decoder", 12, seed=3, type="prefix-lm").build(index, rows)
    assert prefix["prefix_lengths"].tolist() == [10, 5, 9]
    middle = builder("decoder", 12, seed=3, type="fill-in-the-middle").build(index, rows)
    assert middle["input_ids"][1].tolist() == [7, 9, 320, 321, 322, 8, 313, 314, 315, 316, 317, 318]
    assert middle["labels"][1].tolist() == [9, 320, 321, 322, 8, 313, 314, 315, 316, 317, 318, 319]
    assert np.array_equal(middle["input_ids"][[0, 2]], rows[[0, 2], :-1])
