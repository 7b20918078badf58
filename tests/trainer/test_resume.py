"""Interrupted and uninterrupted runs are the same to the last bit."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from rank_harness import events, job, lines, losses, run_ranks, start_ranks, synthetic_blend, wait_until

from pretrain_api.wire import ExitCode

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    storage = tmp_path_factory.mktemp("uninterrupted")
    synthetic_blend(storage)
    run_ranks(storage, job(storage))
    return storage


def steps_done(storage: Path) -> int:
    return len(losses(storage)) if (storage / "metrics.jsonl").exists() else 0


def test_two_runs_with_one_seed_are_equal(uninterrupted: Path, tmp_path: Path) -> None:
    synthetic_blend(tmp_path)
    run_ranks(tmp_path, job(tmp_path))
    assert losses(tmp_path) == losses(uninterrupted)
    assert (tmp_path / "model/model.safetensors").read_bytes() == (
        uninterrupted / "model/model.safetensors"
    ).read_bytes()


def test_training_learns(uninterrupted: Path) -> None:
    values = [loss for _, loss, _ in losses(uninterrupted)]
    assert len(values) == 25
    assert values[-1] < values[0] - 0.3


def test_killed_at_any_moment_and_started_again(uninterrupted: Path, tmp_path: Path) -> None:
    synthetic_blend(tmp_path)
    config = job(tmp_path)
    for kill_after in (7, 13):
        ranks = start_ranks(tmp_path, config)
        try:
            wait_until(lambda wanted=kill_after: steps_done(tmp_path) >= wanted, ranks)
        finally:
            ranks.end()
    run_ranks(tmp_path, config)
    assert losses(tmp_path) == losses(uninterrupted)
    assert lines(tmp_path / "evaluations.jsonl") == lines(uninterrupted / "evaluations.jsonl")
    assert len(events(tmp_path, "start")) == 1
    assert events(tmp_path, "resume")


def test_sigterm_to_one_rank_saves_and_stops_all(uninterrupted: Path, tmp_path: Path) -> None:
    synthetic_blend(tmp_path)
    config = job(tmp_path, checkpoint__everySteps=1000)
    ranks = start_ranks(tmp_path, config)
    try:
        wait_until(lambda: steps_done(tmp_path) >= 3, ranks)
        ranks.send(signal.SIGTERM, [1])
        assert ranks.wait() == [ExitCode.STOPPED] * 2, ranks.log()
    finally:
        ranks.end()
    assert ranks.result()["outcome"] == "Stopped"
    stopped_at = steps_done(tmp_path)
    assert [path.name for path in tmp_path.glob("checkpoints/step-*")] == [f"step-{stopped_at:09d}"]
    run_ranks(tmp_path, config)
    assert losses(tmp_path) == losses(uninterrupted)


def test_a_finished_run_says_so_at_once(uninterrupted: Path) -> None:
    before = (uninterrupted / "ledger.jsonl").read_bytes()
    ranks = run_ranks(uninterrupted, uninterrupted / "job.json")
    assert ranks.result()["outcome"] == "Completed"
    assert (uninterrupted / "ledger.jsonl").read_bytes() == before


def test_a_flipped_byte_is_named_and_an_older_checkpoint_used(uninterrupted: Path, tmp_path: Path) -> None:
    synthetic_blend(tmp_path)
    config = job(tmp_path)
    ranks = start_ranks(tmp_path, config)
    try:
        wait_until((tmp_path / "checkpoints/step-000000010/MANIFEST.json").exists, ranks)
    finally:
        ranks.end()
    newest = max(tmp_path.glob("checkpoints/step-?????????"))
    damaged = newest / "state-00001-of-00002.safetensors"
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    ranks = run_ranks(tmp_path, config)
    assert losses(tmp_path) == losses(uninterrupted)
    (event,) = events(tmp_path, "checkpoint-corrupt")
    assert damaged.name in event["message"]
    assert str(damaged) in ranks.log()


def test_checkpoints_of_another_job_are_refused(tmp_path: Path) -> None:
    """A storage that a job of the same name left, say; whatever differs, no rank so much as tries to load it."""
    synthetic_blend(tmp_path)
    ranks = start_ranks(tmp_path, job(tmp_path))
    try:
        wait_until((tmp_path / "checkpoints/step-000000005/MANIFEST.json").exists, ranks)
    finally:
        ranks.end()
    newest = max(path.parent for path in tmp_path.glob("checkpoints/step-?????????/MANIFEST.json"))
    before = (newest / "MANIFEST.json").read_bytes()
    for hidden_size in (32, 128):
        config = job(tmp_path, model__hiddenSize=hidden_size)
        ranks = run_ranks(tmp_path, config, expect=ExitCode.INVALID_CONFIGURATION)
        message = ranks.result()["message"]
        assert message.startswith(f"{newest}: this checkpoint was made with another spec.model; undo the change")
    blend = tmp_path / "data/blend.json"
    blend.write_text(blend.read_text().replace('"fingerprint": "test"', '"fingerprint": "other"'))
    ranks = run_ranks(tmp_path, job(tmp_path), expect=ExitCode.INVALID_CONFIGURATION)
    assert "made with another spec.data" in ranks.result()["message"]
    assert (newest / "MANIFEST.json").read_bytes() == before
