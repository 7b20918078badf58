"""Bad data in a real run: the detector fires, training goes back, skips and recovers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from rank_harness import (
    events,
    job,
    lines,
    losses,
    run_ranks,
    start_ranks,
    synthetic_documents,
    wait_until,
    write_blend,
)

from pretrain_api.wire import ExitCode

pytestmark = pytest.mark.slow
LENGTH, BATCH = 32, 8
BAD = (60, 66)
"""Steps that read noise, if nothing is skipped."""


def blend_with_bad_stretch(storage: Path, end: int = BAD[1]) -> None:
    random = np.random.default_rng(5)
    noise = [random.integers(0, 256, 200).tolist() for _ in range(60)]
    tokens = BATCH * LENGTH
    write_blend(
        storage,
        {"good": (synthetic_documents(1, 300), synthetic_documents(2, 10)), "bad": (noise, [])},
        phases=[
            {"fromTokens": 0, "weights": {"good": 1.0}},
            {"fromTokens": BAD[0] * tokens, "weights": {"bad": 1.0}},
            {"fromTokens": end * tokens, "weights": {"good": 1.0}},
        ],
    )


def spike_job(storage: Path, **changes: object) -> Path:
    settings = {
        "training__tokens": 100 * BATCH * LENGTH,
        "training__batch": {"stages": [{"tokens": BATCH * LENGTH, "from": 0}]},
        "training__learningRate": {"peak": 1e-2, "warmupTokens": 5 * BATCH * LENGTH},
        "stability__spike": {"window": 32, "warmupSteps": 20, "healthyAfterSteps": 5},
    }
    return job(storage, **(settings | changes))


@pytest.fixture(scope="module")
def recovered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    storage = tmp_path_factory.mktemp("recovered")
    blend_with_bad_stretch(storage)
    run_ranks(storage, spike_job(storage))
    return storage


def test_it_rolls_back_skips_and_recovers(recovered: Path) -> None:
    rollbacks = events(recovered, "rollback")
    assert rollbacks
    assert rollbacks[0]["onsetStep"] == BAD[0] + 1
    assert rollbacks[0]["resumedFromStep"] == 55  # five clean steps followed; the one of step 60 isn't healthy yet
    assert rollbacks[0]["skippedSequences"]["from"] == BAD[0] * BATCH
    assert rollbacks[-1]["skippedSequences"]["to"] >= BAD[1] * BATCH
    verdicts = events(recovered, "verdict")
    assert verdicts[-1]["recovered"] is True


def test_the_surviving_trajectory_has_a_line_a_step_and_no_spike(recovered: Path) -> None:
    trajectory = losses(recovered)
    assert [step for step, _, _ in trajectory] == list(range(1, 101))
    assert max(loss for step, loss, _ in trajectory if step > 40) < 2.5
    discarded = lines(recovered / "metrics-discarded.jsonl")
    assert {line["rollback"] for line in discarded} == set(range(1, len(events(recovered, "rollback")) + 1))
    assert max(line["loss"] for line in discarded) > 5


def test_progress_shows_it(recovered: Path) -> None:
    progress = json.loads((recovered / "run/progress.json").read_text())
    assert progress["state"] == "Completed"
    assert len(progress["rollbacks"]) == len(events(recovered, "rollback"))
    assert progress["rollbacks"][-1]["recovered"] is True
    assert progress["checkpoints"]["latest"]["step"] == 100


def test_killed_after_the_rollback_it_ends_in_the_same_place(recovered: Path, tmp_path: Path) -> None:
    blend_with_bad_stretch(tmp_path)
    config = spike_job(tmp_path)
    ranks = start_ranks(tmp_path, config)
    try:
        wait_until((tmp_path / "checkpoints/recovery.json").exists, ranks)
    finally:
        ranks.end()
    run_ranks(tmp_path, config)
    assert losses(tmp_path) == losses(recovered)


def test_a_spent_budget_fails_with_its_reason(tmp_path: Path) -> None:
    blend_with_bad_stretch(tmp_path, end=95)
    config = spike_job(tmp_path, stability__rollback={"maxRollbacks": 1})
    ranks = run_ranks(tmp_path, config, expect=ExitCode.INVALID_DATA)
    assert ranks.result()["reason"] == "RollbackBudgetExhausted"
    assert len(events(tmp_path, "rollback")) == 1


def test_skip_step_leaves_updates_out(tmp_path: Path) -> None:
    blend_with_bad_stretch(tmp_path)
    run_ranks(tmp_path, spike_job(tmp_path, stability__onSpike="skip-step"))
    assert [event["step"] for event in events(tmp_path, "skip")] == list(range(BAD[0] + 1, BAD[1] + 1))
    after = [loss for step, loss, _ in losses(tmp_path) if step > BAD[1]]
    assert max(after) < 2.5


def test_pause_saves_and_stops(tmp_path: Path) -> None:
    blend_with_bad_stretch(tmp_path)
    config = spike_job(tmp_path, stability__onSpike="pause")
    ranks = run_ranks(tmp_path, config, expect=ExitCode.INVALID_DATA)
    assert ranks.result()["reason"] == "PausedOnSpike"
    assert (tmp_path / f"checkpoints/step-{BAD[0] + 2:09d}/MANIFEST.json").exists()
