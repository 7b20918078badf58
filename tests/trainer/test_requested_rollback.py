"""A rollback that a person asks for, in a real run."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest
from rank_harness import events, job, lines, losses, run_ranks, start_ranks, synthetic_blend, wait_until

from pretrain_api.wire import ENV_ROLLBACK, ExitCode

pytestmark = pytest.mark.slow
STEPS = 25
"""10 of 8 sequences, then 15 of 16."""


def asked(**request: Any) -> dict[str, str]:
    return {ENV_ROLLBACK: json.dumps(request)}


@pytest.fixture
def stopped(tmp_path: Path) -> Path:
    """A run that was told to stop after step 12 or later; its checkpoints are of steps 5, 10, and where it stopped."""
    synthetic_blend(tmp_path)
    ranks = start_ranks(tmp_path, job(tmp_path, training__tokens=16 * 32 * 20, stability__rollback={"maxRollbacks": 0}))
    try:
        wait_until(lambda: len(losses(tmp_path)) >= 12, ranks)
        ranks.send(signal.SIGTERM, [0])
        assert ranks.wait() == [ExitCode.STOPPED] * 2, ranks.log()
    finally:
        ranks.end()
    return tmp_path


def test_it_is_done_once(stopped: Path) -> None:
    was = losses(stopped)
    request = asked(id="first", toStep=11, skipSequences=None)
    ranks = start_ranks(stopped, stopped / "job.json", environment=request)
    try:
        wait_until(lambda: bool(events(stopped, "rollback")) and len(losses(stopped)) >= 12, ranks)
    finally:
        ranks.end()  # its successor has the request in its environment, too
    run_ranks(stopped, stopped / "job.json", environment=request)
    (event,) = events(stopped, "rollback")
    assert (event["reason"], event["detectedAtStep"], event["resumedFromStep"]) == ("RequestedByUser", was[-1][0], 10)
    first = 10 * 8
    assert event["skippedSequences"] == {"from": first, "to": first + (was[-1][0] - 10) * 16}
    assert [line["step"] for line in lines(stopped / "metrics-discarded.jsonl")] == list(range(11, was[-1][0] + 1))
    trajectory = losses(stopped)
    assert [step for step, _, _ in trajectory] == list(range(1, STEPS + 1))
    assert trajectory[:10] == was[:10]
    assert trajectory[10] != was[10]
    (shown,) = json.loads((stopped / "run/progress.json").read_text())["rollbacks"]
    assert (shown["reason"], shown["recovered"]) == ("RequestedByUser", None)
    assert not events(stopped, "verdict")


def test_without_a_skip_the_same_steps_are_made_again(stopped: Path) -> None:
    was = losses(stopped)
    run_ranks(stopped, stopped / "job.json", environment=asked(id="again", toStep=0, skipSequences=0))
    assert events(stopped, "rollback")[0]["resumedFromStep"] == 0
    assert losses(stopped)[: len(was)] == was


def test_what_cannot_be_done_is_refused_and_training_goes_on(stopped: Path) -> None:
    was = losses(stopped)
    run_ranks(stopped, stopped / "job.json", environment=asked(id="early", toStep=3, skipSequences=8))
    (event,) = events(stopped, "rollback-refused")
    assert "no valid checkpoint at or before it (steps there: 5, 10," in event["message"]
    assert not events(stopped, "rollback")
    shown = json.loads((stopped / "run/progress.json").read_text())["refusedRollback"]
    assert (shown["id"], shown["message"]) == ("early", event["message"])
    assert losses(stopped)[: len(was)] == was
    assert not (stopped / "metrics-discarded.jsonl").exists()
