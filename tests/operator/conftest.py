"""Jobs, and programs that stand in the places of the real ones and speak the same protocol."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from pretrain_api.spec.job import PretrainJob

PROGRAMS = Path(__file__).parent / "programs"


def build_job(changes: dict[str, Any] | None = None, name: str = "tiny") -> PretrainJob:
    """Return a job with small sizes; `changes` maps dotted paths below spec to values."""
    document: dict[str, Any] = {
        "apiVersion": "pretrain.dev/v1alpha1",
        "kind": "PretrainJob",
        "metadata": {"name": name, "generation": 1},
        "spec": {
            "data": {"sources": [{"name": "web", "uri": "sample://python"}], "shards": 3, "workers": 2},
            "model": {
                "family": "llama",
                "vocabSize": 300,
                "hiddenSize": 32,
                "intermediateSize": 64,
                "numHiddenLayers": 2,
                "numAttentionHeads": 2,
            },
            "training": {
                "tokens": 20480,
                "sequenceLength": 64,
                "batch": {"stages": [{"tokens": 512, "from": 0}, {"tokens": 1024, "from": 10240}]},
                "learningRate": {"peak": 1e-3},
            },
        },
    }
    for path, value in (changes or {}).items():
        *parents, leaf = path.split(".")
        target = document["spec"]
        for parent in parents:
            target = target.setdefault(parent, {})
        if value is None:
            target.pop(leaf, None)
        else:
            target[leaf] = value
    return PretrainJob.model_validate(document)


def resolve_with_programs(
    stages: dict[str, list[str]] | None = None, trainer: dict[str, Any] | None = None
) -> Callable[[Sequence[str]], Sequence[str]]:
    """Return what turns commands of the plan into the programs of this folder."""

    def resolve(command: Sequence[str]) -> Sequence[str]:
        if command[2] == "pretrain_trainer":
            return [
                sys.executable,
                "-S",
                "-E",
                str(PROGRAMS / "trainer.py"),
                json.dumps({"steps": 20, **(trainer or {})}),
            ]
        stage = "report" if command[2] == "pretrain_report" else command[3]
        return [sys.executable, "-S", "-E", str(PROGRAMS / "stage.py"), stage, json.dumps(stages or {})]

    return resolve


@pytest.fixture
def make_job() -> Callable[..., PretrainJob]:
    """Makes small jobs; see `build_job`."""
    return build_job


@pytest.fixture
def program_commands() -> Callable[..., Callable[[Sequence[str]], Sequence[str]]]:
    """Puts programs of this folder in the places of the real ones; see `resolve_with_programs`."""
    return resolve_with_programs


@pytest.fixture
def workdir_path(tmp_path: Path) -> Path:
    """A directory that isn't there yet."""
    return tmp_path / "runs" / "tiny"
