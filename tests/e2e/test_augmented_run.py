"""`pretrain run` augments real text by each method; a job that trains on the result tells what is new apart."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

pytestmark = pytest.mark.slow

PREPARING = """\
apiVersion: pretrain.dev/v1alpha1
kind: PretrainJob
metadata: {name: augmented}
spec:
  data:
    sources:
      - {name: topics, uri: "sample://python?kinds=topics", weight: 0.6}
      - {name: docstrings, uri: "sample://python?kinds=docstrings&megabytes=0.5", weight: 0.4}
    shards: 1
    dedup: {passages: {unit: line}}
    augment:
      - {source: topics, method: sentence-shuffle, share: 0.1}
      - {source: topics, method: synonyms, share: 0.1, rate: 0.5, dictionary: SYNONYMS}
      - {source: docstrings, method: concatenate, share: 0.1}
      - {source: docstrings, method: code-mix, partner: topics, share: 0.2}
      - {source: docstrings, method: rewrite, share: 0.1, command: "sed -e s/the/der/g"}
    tokenizer: {train: {vocabSize: 1000}}
    split: {validation: 0.1}
"""
TRAINING = """\
apiVersion: pretrain.dev/v1alpha1
kind: PretrainJob
metadata: {name: trained}
spec:
  data: {prepared: PREPARED}
  model: {family: llama, hiddenSize: 32, intermediateSize: 64, numHiddenLayers: 1, numAttentionHeads: 2}
  training:
    tokens: 64Ki
    sequenceLength: 64
    microBatchSize: 16
    batch: {stages: [{tokens: 4Ki, from: 0}]}
    learningRate: {peak: 1e-3}
    precision: fp32
"""
PARTS = [
    "topics+sentence-shuffle",
    "topics+synonyms",
    "docstrings+concatenate",
    "docstrings+code-mix+topics",
    "docstrings+rewrite",
]


def run(manifest: Path, workdir: Path) -> str:
    command = [sys.executable, "-m", "pretrain_cli.main", "run", str(manifest), f"--workdir={workdir}"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout + ended.stderr


def read(path: Path) -> Any:
    return json.loads(path.read_text())


def test_new_documents_from_text_to_training(tmp_path: Path) -> None:
    (tmp_path / "synonyms.tsv").write_text("object\tthing\tentity\nvalue\tamount\nexpression\tterm\nmethod\tway\n")
    preparing, training = tmp_path / "preparing.yaml", tmp_path / "training.yaml"
    prepared, trained = tmp_path / "prepared", tmp_path / "trained"
    preparing.write_text(PREPARING.replace("SYNONYMS", str(tmp_path / "synonyms.tsv")))
    training.write_text(TRAINING.replace("PREPARED", str(prepared)))
    assert "made of those" in run(preparing, prepared)

    report = read(prepared / "data/report.json")
    assert [part["name"] for part in report["augmented"]] == PARTS
    for part in report["augmented"]:
        assert part["documents"] > 0
        assert 0.01 < part["bytes"] / part["sourceBytes"] <= part["share"], part
        rows = [
            row
            for path in sorted((prepared / "data/tokenized").glob(f"{part['name']}-*.augmented.parquet"))
            for row in pq.read_table(path).to_pylist()
        ]
        assert len(rows) == part["documents"]
        assert {row["augmented"] for row in rows} == {part["method"]}
    status = read(prepared / "status.json")["dataPreparation"]
    assert "augment-plan" in [stage["name"] for stage in status["stages"]]
    assert status["augmentedDocuments"] == sum(part["documents"] for part in report["augmented"])
    assert status["augmentedTokens"] == sum(part["trainTokens"] for part in report["augmented"])
    assert status["documents"] == sum(source["documentsKept"] for source in report["sources"])
    assert "New documents, made of others" in (prepared / "report/index.html").read_text()

    run(training, trained)
    seen = {source["name"]: source["tokens"] for source in read(trained / "status.json")["training"]["sources"]}
    assert sum(seen.values()) == 64 * 1024
    own = {"topics", "docstrings"}
    assert own < set(seen) <= own | set(PARTS)
    assert all(seen[name] > 0 for name in seen)
    topics = sum(tokens for name, tokens in seen.items() if name.startswith("topics"))
    assert topics / sum(seen.values()) == pytest.approx(0.6, abs=0.02)
