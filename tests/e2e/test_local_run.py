"""`pretrain run` with the real data preparation, trainer and report: whole, interrupted, killed, begun again."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

MANIFEST = """\
apiVersion: pretrain.dev/v1alpha1
kind: PretrainJob
metadata: {name: small}
spec:
  data:
    sources: [{name: topics, uri: "sample://python?kinds=topics"}]
    shards: 2
    tokenizer: {train: {vocabSize: 500}}
    split: {validation: 0.05}
  model: {family: llama, hiddenSize: 64, intermediateSize: 128, numHiddenLayers: 2, numAttentionHeads: 2}
  training:
    tokens: 60Ki
    sequenceLength: 64
    microBatchSize: 2
    batch: {stages: [{tokens: 1Ki, from: 0}, {tokens: 2Ki, from: 30Ki}]}
    learningRate: {peak: 1e-3, warmupTokens: 4Ki}
    precision: fp32
  checkpoint: {everySteps: 7}
"""
STEPS = 45
DEADLINE_SECONDS = 240
pytestmark = pytest.mark.slow


class Runs:
    """Starts `pretrain run` and ends what a failed test has left running."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest = folder / "small.yaml"
        self.manifest.write_text(MANIFEST)
        self.started: list[subprocess.Popen[bytes]] = []

    def start(self, workdir: Path, *arguments: str) -> subprocess.Popen[bytes]:
        with (self.folder / "output.txt").open("ab") as output:
            process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "pretrain_cli.main",
                    "run",
                    str(self.manifest),
                    f"--workdir={workdir}",
                    *arguments,
                ],
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self.started.append(process)
        return process

    def finish(self, workdir: Path, *arguments: str) -> int:
        return self.start(workdir, *arguments).wait(DEADLINE_SECONDS)

    def output(self) -> str:
        return (self.folder / "output.txt").read_text()


@pytest.fixture
def runs(tmp_path: Path) -> Iterator[Runs]:
    runs = Runs(tmp_path)
    yield runs
    for process in runs.started:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        process.wait()


def wait_until(process: subprocess.Popen[bytes], condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert process.poll() is None, "the run ended before it was to be interrupted"
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.01)


def last_step(workdir: Path) -> int:
    """Return the newest step in metrics.jsonl; a line that is being written doesn't count."""
    try:
        lines = (workdir / "metrics.jsonl").read_text().splitlines()
    except FileNotFoundError:
        return 0
    for line in reversed(lines):
        with contextlib.suppress(ValueError):
            return int(json.loads(line)["step"])
    return 0


def trajectory(workdir: Path) -> list[dict[str, Any]]:
    """Return what a step computed, without when."""
    names = ("step", "sequences", "tokens", "loss", "gradientNorm", "learningRate", "batchTokens")
    rows = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    return [{name: row[name] for name in names} for row in rows]


def data_hashes(workdir: Path) -> dict[str, str]:
    """Return the hash of every file that the preparation made for the trainer."""
    folders = ("data/tokenized", "data/tokenizer")
    paths = [path for folder in folders for path in (workdir / folder).rglob("*") if path.is_file()]
    return {str(path.relative_to(workdir)): hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(paths)}


def status(workdir: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((workdir / "status.json").read_text())
    return document


def test_interrupted_and_uninterrupted_runs_are_the_same(runs: Runs, tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert runs.finish(whole) == 0, runs.output()
    for name in ("report/index.html", "model/config.json", "samples.json", "completed.json", "ledger.jsonl"):
        assert (whole / name).is_file()
    assert status(whole)["phase"] == "Completed"

    process = runs.start(broken)
    wait_until(process, (broken / "data" / "clean").exists)
    process.kill()
    process.wait()

    process = runs.start(broken)
    wait_until(process, lambda: last_step(broken) >= 10)
    process.send_signal(signal.SIGINT)
    assert process.wait(DEADLINE_SECONDS) == 130, runs.output()
    assert status(broken)["phase"] == "Suspended"

    process = runs.start(broken)
    wait_until(process, lambda: last_step(broken) >= 25)
    process.kill()
    process.wait()

    assert runs.finish(broken) == 0, runs.output()
    assert status(broken)["phase"] == "Completed"
    assert data_hashes(broken) == data_hashes(whole)
    steps = trajectory(whole)
    assert [row["step"] for row in steps] == list(range(1, STEPS + 1))
    assert trajectory(broken) == steps
    assert (broken / "evaluations.jsonl").read_text() == (whole / "evaluations.jsonl").read_text()
    assert hash_of(broken / "model" / "model.safetensors") == hash_of(whole / "model" / "model.safetensors")

    # More tokens: the same run goes on; another model doesn't fit.
    assert runs.finish(whole, "--set", "spec.model.hiddenSize=32") == 1
    assert "don't fit" in runs.output()
    assert runs.finish(whole, "--set", "spec.training.tokens=64Ki") == 0, runs.output()
    assert last_step(whole) == STEPS + 2


def hash_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.skipif(
    subprocess.run(["unshare", "-rm", "true"], capture_output=True, check=False).returncode != 0,
    reason="needs the right to mount a small file system in a namespace of its own",
)
def test_full_disk(tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(MANIFEST)
    (tmp_path / "disk").mkdir()
    script = (
        f"mount -t tmpfs -o size=300k tmpfs {tmp_path}/disk && exec {sys.executable} -m pretrain_cli.main run "
        f"{tmp_path}/small.yaml --workdir {tmp_path}/disk/run --quiet"
    )
    ended = subprocess.run(
        ["unshare", "-rm", "sh", "-c", script],
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE_SECONDS,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert ended.returncode == 1
    lines = ended.stderr.splitlines()
    assert lines[0].startswith("pretrain run: ")
    assert "no space left" in lines[0].lower()
    assert lines[1].startswith("what to do: ")
    assert "Traceback" not in ended.stderr


def test_batch_stages_of_other_widths(runs: Runs, tmp_path: Path) -> None:
    """Two nodes, then one, then two: at each boundary through a checkpoint, with no step lost or made twice."""
    document = yaml.safe_load(MANIFEST)
    document["spec"]["trainer"] = {"numNodes": 2, "numProcPerNode": 1}
    document["spec"]["training"]["batch"]["stages"] = [
        {"tokens": "1Ki", "from": 0},
        {"tokens": 384, "from": "20Ki", "numNodes": 1},  # three micro-batches: two nodes couldn't share them
        {"tokens": "2Ki", "from": "40Ki", "numNodes": 2},
    ]
    runs.manifest.write_text(yaml.safe_dump(document))
    workdir = tmp_path / "widths"
    assert runs.finish(workdir) == 0, runs.output()
    rows = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == list(range(1, 85))
    assert [row["batchStage"] for row in rows] == [0] * 20 + [1] * 54 + [2] * 10
    widths = [row["numNodes"] for row in rows]
    assert widths == [2] * 20 + [1] * 54 + [2] * 10
    restarts = status(workdir)["restarts"]
    assert (restarts["total"], restarts["counted"]) == (0, 0)
