"""The manifests that the README tells people to try, at reduced size, by the real command."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

MANIFESTS = Path(__file__).parents[2] / "manifests"
DEADLINE_SECONDS = 400
SMALLER = {
    "spec.data.shards": "2",
    "spec.data.tokenizer.train.vocabSize": "600",
    "spec.model.hiddenSize": "96",
    "spec.model.intermediateSize": "256",
    "spec.model.numHiddenLayers": "2",
    "spec.model.numAttentionHeads": "4",
    "spec.training.sequenceLength": "64",
    "spec.training.microBatchSize": "4",
    "spec.training.learningRate": "{peak: 4e-3, warmupTokens: 16Ki}",
    "spec.training.evaluation": "{everyTokens: 64Ki, maxSequences: 32, samples: {newTokens: 16}}",
    "spec.checkpoint.everySteps": "20",
}
pytestmark = pytest.mark.slow


def run(manifest: str, workdir: Path, **settings: str) -> dict[str, Any]:
    """Run a manifest with some of its fields set; return its status."""
    arguments = [f"--set={path}={value}" for path, value in (SMALLER | settings).items()]
    ended = subprocess.run(
        [
            sys.executable,
            "-m",
            "pretrain_cli.main",
            "run",
            str(MANIFESTS / manifest),
            f"--workdir={workdir}",
            *arguments,
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE_SECONDS,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    status: dict[str, Any] = json.loads((workdir / "status.json").read_text())
    return status


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_quickstart_learns_and_leaves_what_it_promises(tmp_path: Path) -> None:
    status = run(
        "quickstart.yaml",
        tmp_path / "run",
        **{
            "spec.data.sources": '[{name: docs, uri: "sample://python?kinds=topics,docstrings&megabytes=2"}]',
            "spec.training.tokens": "160Ki",
            "spec.training.batch.stages": (
                "[{tokens: 1Ki, from: 0}, {tokens: 2Ki, from: 64Ki}, {tokens: 4Ki, from: 128Ki}]"
            ),
        },
    )
    assert status["phase"] == "Completed"
    metrics = lines(tmp_path / "run" / "metrics.jsonl")
    assert [row["step"] for row in metrics] == list(range(1, 105))
    assert [row["batchTokens"] for row in metrics] == [1024] * 64 + [2048] * 32 + [4096] * 8
    first, last = metrics[0]["loss"], sum(row["loss"] for row in metrics[-8:]) / 8
    assert first == pytest.approx(6.4, abs=0.3)  # the logarithm of 600 pieces: it knows nothing yet
    assert last < first - 1.5
    assert status["training"]["validationLoss"] < first - 1.3
    assert len(json.loads((tmp_path / "run" / "samples.json").read_text())) == 3
    for name in ("report/index.html", "report/loss.png", "model/model.safetensors", "model/config.json"):
        assert (tmp_path / "run" / name).stat().st_size > 0
    changes = [
        event["batchTokens"] for event in lines(tmp_path / "run" / "ledger.jsonl") if event["event"] == "stage-change"
    ]
    assert changes == [1024, 2048, 4096]


def test_spike_rolls_back_skips_the_bad_shard_and_recovers(tmp_path: Path) -> None:
    status = run(
        "quickstart-spike.yaml",
        tmp_path / "run",
        **{
            "spec.data.sources": (
                '[{name: python, uri: "sample://python?kinds=topics,docstrings&megabytes=2", weight: 1},'
                ' {name: late-crawl, weight: 0, uri: "sample://python?kinds=topics,docstrings&megabytes=1'
                '&corruption=wrong-codec"}]'
            ),
            "spec.data.curriculum": (
                "[{from: 0, weights: {python: 1}}, {from: 96Ki, weights: {late-crawl: 1}},"
                " {from: 104Ki, weights: {python: 1}}]"
            ),
            "spec.training.tokens": "160Ki",
            "spec.training.batch.stages": "[{tokens: 1Ki, from: 0}, {tokens: 2Ki, from: 128Ki}]",
            "spec.stability.spike": "{window: 32, threshold: 6, warmupSteps: 40, healthyAfterSteps: 15}",
        },
    )
    assert status["phase"] == "Completed"
    rollbacks = status["rollbacks"]
    assert rollbacks
    assert all(rollback["recovered"] for rollback in rollbacks[-1:])
    bad = range(96 * 1024 // 64, 104 * 1024 // 64)  # sequences of the corrupted source
    skipped = rollbacks[-1]["skippedSequences"]
    assert rollbacks[0]["reason"] in {"LossSpike", "GradientSpike"}
    assert rollbacks[0]["skippedSequences"]["from"] in range(bad.start - 32, bad.start + 32)
    assert skipped["to"] >= bad.stop - 64
    assert rollbacks[0]["loss"] > rollbacks[0]["baseline"] + 1
    events = [event["event"] for event in lines(tmp_path / "run" / "ledger.jsonl")]
    for name in ("spike", "rollback", "verdict", "checkpoint-promoted", "complete"):
        assert name in events
    metrics = lines(tmp_path / "run" / "metrics.jsonl")
    assert [row["step"] for row in metrics] == list(range(1, len(metrics) + 1))
    assert max(row["loss"] for row in metrics[60:]) < rollbacks[0]["loss"]
    assert lines(tmp_path / "run" / "metrics-discarded.jsonl")[-1]["rollback"] == len(rollbacks)
    page = (tmp_path / "run" / "report" / "index.html").read_text()
    assert "rollback" in page
