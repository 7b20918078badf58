"""The peers of bench-objectives do the work they are measured by."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.objectives import peers
from benchmarks.objectives.__main__ import CASES
from benchmarks.objectives.building import batches_of
from benchmarks.objectives.corpus import END, FIRST_WORD, write_corpus


@pytest.fixture
def rows() -> np.ndarray:
    rows = np.random.default_rng(1).integers(FIRST_WORD, 32_000, (8, 500))
    rows[:, 200] = END
    return rows


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_samples_are_built_from_the_corpus(case, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    blend = write_corpus(tmp_path, 50, 100)
    batches = batches_of(blend, tmp_path, case.kind, case.objective, 64)
    assert (batches.read_consumed(0, 4)["labels"] != -100).any()


def test_words_are_masked_at_15_percent(rows: np.ndarray) -> None:
    labels = np.array([labels for _, labels in peers.masked_words(rows)])
    assert (labels != -100).mean() == pytest.approx(0.15, abs=0.01)


@pytest.mark.parametrize("build", [peers.spans, peers.denoisers])
def test_spans_keep_or_predict_every_token(build, rows: np.ndarray) -> None:  # type: ignore[no-untyped-def]
    for row, (inputs, targets) in zip(rows, build(rows), strict=True):
        text = np.concatenate((inputs[:-1], targets[:-1]))
        assert sorted(text[(text >= FIRST_WORD) | (text == END)]) == sorted(row)


def test_middles_are_moved(rows: np.ndarray) -> None:
    moved = [row for row in peers.middles(rows) if peers.MIDDLE in row]
    assert moved
    assert all(row.size == rows.shape[1] for row in peers.middles(rows))


def test_collators_of_transformers(rows: np.ndarray) -> None:
    causal = peers.transformers_collator(masked=False)(rows)
    assert np.array_equal(causal["labels"].numpy(), rows)
    masked = peers.transformers_collator(masked=True)(rows)["labels"].numpy()
    assert (masked != -100).mean() == pytest.approx(0.15, abs=0.02)
