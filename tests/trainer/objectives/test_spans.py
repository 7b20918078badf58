"""Span corruption and the mixture of denoisers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from objective_samples import END, RESERVED, SENTINELS, builder, samples, text

from pretrain_api.objectives import denoisers_of, noise_counts
from pretrain_api.spec.objective import Objective
from pretrain_trainer.objectives.batch import Batch

MODES = {mode: RESERVED[f"[{mode}]"] for mode in "RSX"}
KINDS = st.sampled_from(["encoder-decoder", "decoder"])


def inputs_and_targets(batch: Batch, row: int) -> tuple[list[int], list[int]]:
    """Return what is read and what is to be written, without the tokens at their ends."""
    inputs, labels = batch["input_ids"][row], batch["labels"][row]
    targets = labels[labels != -100]
    assert targets[-1] == END
    if "attention_mask" in batch:
        read = inputs[batch["attention_mask"][row] == 1]
        assert read[-1] == END
        return read[:-1].tolist(), targets[:-1].tolist()
    prefix = batch["prefix_lengths"][row]
    assert (labels[: prefix - 1] == -100).all()
    assert np.array_equal(inputs[prefix : prefix + targets.size - 1], targets[:-1])  # what is written is read next
    return inputs[:prefix].tolist(), targets[:-1].tolist()


def filled_in(read: list[int], targets: list[int]) -> list[int]:
    """Put each span of the targets in the place of its sentinel."""
    spans: dict[int, list[int]] = {}
    for token in targets:
        if token in SENTINELS:
            spans[token] = []
        else:
            spans[list(spans)[-1]].append(token)
    assert all(spans.values())
    assert list(spans) == SENTINELS[: len(spans)]
    assert [token for token in read if token in SENTINELS] == list(spans)
    return [word for token in read for word in spans.get(token, [token])]


@settings(max_examples=150, deadline=None)
@given(
    kind=KINDS,
    length=st.integers(8, 200),
    rate=st.sampled_from([0.05, 0.15, 0.5, 0.9]),
    mean=st.sampled_from([1.0, 3.0, 8.0, 64.0]),
    seed=st.integers(0, 10**6),
)
def test_every_token_is_either_read_or_written(kind: str, length: int, rate: float, mean: float, seed: int) -> None:
    made = builder(kind, length, seed, type="span-corruption", rate=rate, meanSpanLength=mean)  # type: ignore[arg-type]
    rows, batch = samples(made, 3, seed)
    for row in range(3):
        read, targets = inputs_and_targets(batch, row)
        assert filled_in(read, targets) == rows[row, : made.shape.window].tolist()


def test_numbers_of_noise_tokens_and_spans_are_those_of_t5() -> None:
    made = builder("encoder-decoder", 512, type="span-corruption")
    _, batch = samples(made, 50)
    for row in range(50):
        read, targets = inputs_and_targets(batch, row)
        spans = sum(token in SENTINELS for token in targets)
        assert (len(targets) - spans, spans) == (85, 28)  # 15 % of 568; spans of 3
        assert len(read) + 1 == 512
        assert len(targets) + 1 == 114


def test_every_cut_is_equally_likely() -> None:
    """Of 8 tokens half are noise, in two spans: 3 ways to cut the noise and 3 to cut the rest."""
    made = builder("encoder-decoder", 8, type="span-corruption", rate=0.5, meanSpanLength=2.0)
    size = 18_000
    rows = np.tile(np.arange(300, 300 + made.shape.window + 1), (size, 1))
    batch = made.build(np.arange(size), rows)
    noise, spans = noise_counts(
        made.shape.window,
        denoisers_of(
            Objective.model_validate({"type": "span-corruption", "rate": 0.5, "meanSpanLength": 2.0}).parts[0]
        )[0],
    )
    ways = (noise - 1) * (made.shape.window - noise - 1)
    assert spans == 2
    _, counts = np.unique(batch["labels"], axis=0, return_counts=True)
    assert counts.size == ways
    assert abs(counts - size / ways).max() < 5 * (size / ways) ** 0.5


def test_noise_is_everywhere_but_at_the_beginning() -> None:
    made = builder("encoder-decoder", 64, type="span-corruption")
    rows = np.tile(np.arange(300, 300 + made.shape.window + 1), (10_000, 1))
    labels = made.build(np.arange(10_000), rows)["labels"]
    share = np.bincount(labels[labels >= 300] - 300, minlength=made.shape.window) / 10_000
    assert share[0] == 0
    assert abs(share.mean() - 0.15) < 0.01
    assert share[5:-5].min() > 0.08
    assert share[5:-5].max() < 0.25


@settings(max_examples=60, deadline=None)
@given(kind=KINDS, length=st.integers(16, 150), seed=st.integers(0, 10**6))
def test_denoisers_of_a_mixture_keep_or_predict_every_token(kind: str, length: int, seed: int) -> None:
    made = builder(kind, length, seed, type="mixture-of-denoisers")  # type: ignore[arg-type]
    rows, batch = samples(made, 8, seed)
    for row in range(8):
        read, targets = inputs_and_targets(batch, row)
        assert read[0] in MODES.values()
        assert filled_in(read[1:], targets) == rows[row, : made.shape.window].tolist()
        if read[0] == MODES["S"]:
            assert read[-1] == SENTINELS[0]  # the rest of the text


def test_modes_come_at_their_rates() -> None:
    made = builder("encoder-decoder", 64, type="mixture-of-denoisers")
    first = samples(made, 21_000)[1]["input_ids"][:, 0]
    shares = {mode: (first == token).mean() for mode, token in MODES.items()}
    assert shares == pytest.approx({"R": 2 / 7, "S": 1 / 7, "X": 4 / 7}, abs=0.015)


def test_modes_do_what_they_stand_for() -> None:
    """R: 15 % in short spans; S: a quarter on average, at the end; X: half of the text, or long spans."""
    made = builder("encoder-decoder", 512, type="mixture-of-denoisers")
    _, batch = samples(made, 3000)
    shares: dict[str, list[float]] = {mode: [] for mode in MODES}
    means: dict[str, list[float]] = {mode: [] for mode in MODES}
    names = {token: mode for mode, token in MODES.items()}
    for row in range(3000):
        read, targets = inputs_and_targets(batch, row)
        spans = sum(token in SENTINELS for token in targets)
        shares[names[read[0]]].append((len(targets) - spans) / made.shape.window)
        means[names[read[0]]].append((len(targets) - spans) / spans)
    assert np.allclose(shares["R"], 0.15, atol=0.005)
    assert {round(mean) for mean in means["R"]} == {3, 5}
    assert abs(np.mean(shares["S"]) - 0.25) < 0.02
    assert all(share > 0.49 or mean > 12 for share, mean in zip(shares["X"], means["X"], strict=True))


def test_mixing_rates_can_be_stated() -> None:
    denoisers = [{"mode": "R", "weight": 1.0}, {"mode": "X", "rate": 0.5, "weight": 3.0}]
    made = builder("decoder", 64, type="mixture-of-denoisers", denoisers=denoisers)
    first = samples(made, 10_000)[1]["input_ids"][:, 0]
    assert (first == MODES["R"]).mean() == pytest.approx(0.25, abs=0.02)


def test_short_rows() -> None:
    made = builder("encoder-decoder", 64, type="span-corruption")
    rows = text(1, made.shape.window)
    batch = made.build(np.zeros(1, dtype=np.int64), rows, np.array([20]))
    read, targets = inputs_and_targets(batch, 0)
    assert filled_in(read, targets) == rows[0, :20].tolist()


def test_golden() -> None:
    made = builder("encoder-decoder", 16, seed=3, type="span-corruption", rate=0.3, meanSpanLength=2.0)
    rows = np.arange(300, 300 + 2 * (made.shape.window + 1)).reshape(2, -1)
    batch = made.build(np.array([0, 10**12]), rows)
    assert batch["input_ids"].tolist() == [
        [300, 301, 302, 303, 304, 305, 306, 307, 308, 14, 311, 312, 313, 314, 15, 3],
        [319, 320, 321, 14, 323, 324, 325, 326, 327, 328, 329, 330, 331, 332, 15, 3],
    ]
    assert batch["labels"].tolist() == [
        [14, 309, 310, 15, 315, 316, 317, 3],
        [14, 322, 15, 333, 334, 335, 336, 3],
    ]
