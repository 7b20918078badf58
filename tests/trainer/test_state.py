"""Engine states survive saving and loading at other numbers of ranks, for every ZeRO stage and precision."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from engine_worker import ADAM_KINDS, KINDS
from rank_harness import free_port

from pretrain_trainer.checkpoint.layout import state_file
from pretrain_trainer.checkpoint.snapshot import WEIGHT, SavedState

pytestmark = pytest.mark.slow


def run_workers(count: int, *arguments: str) -> None:
    port = free_port()
    processes = []
    for rank in range(count):
        variables = {
            "RANK": str(rank),
            "LOCAL_RANK": str(rank),
            "WORLD_SIZE": str(count),
            "LOCAL_WORLD_SIZE": str(count),
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port),
            "PRETRAIN_CONFIG": "unused",
            "PRETRAIN_STORAGE": "unused",
            "PRETRAIN_RUN_DIRECTORY": "unused",
            "OMP_NUM_THREADS": "1",
        }
        command = [sys.executable, str(Path(__file__).with_name("engine_worker.py")), *arguments]
        processes.append(subprocess.Popen(command, env={**os.environ, **variables}, stderr=subprocess.PIPE))
    try:
        errors = [process.communicate(timeout=300)[1].decode() for process in processes]
        assert [process.returncode for process in processes] == [0] * count, "\n".join(errors)
    finally:
        for process in processes:
            if process.poll() is None:
                process.kill()
                process.wait()


@pytest.fixture(scope="module")
def states(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trained by 2 ranks; loaded by 1 and by 3; what 3 saved loaded by 2 again."""
    base = tmp_path_factory.mktemp("states")
    run_workers(2, str(base / "by-2"))
    run_workers(1, str(base / "2-to-1"), str(base / "by-2"), "2")
    run_workers(3, str(base / "2-to-3"), str(base / "by-2"), "2")
    run_workers(2, str(base / "3-to-2"), str(base / "2-to-3"), "3")
    return base


MOMENTS = {
    "adamw": ("exp_avg", "exp_avg_sq"),
    "sgd": ("momentum_buffer",),
    "normalized-gradient": ("momentum_buffer",),
    "lion": ("exp_avg",),
    "adafactor": ("variance",),
    "muon": ("exp_avg", "exp_avg_sq", "momentum_buffer"),
}


def saved(directory: Path, count: int) -> SavedState:
    return SavedState([directory / state_file(rank, count) for rank in range(count)])


def contents(state: SavedState) -> dict[tuple[str, str], torch.Tensor]:
    return {
        (quantity, name): state.read(quantity, name, 0, state.size(name))
        for name in state.parameter_names()
        for quantity in [WEIGHT, *state.quantities(name)]
    }


def wholes(state: SavedState) -> dict[tuple[str, str], torch.Tensor]:
    return {
        (quantity, name): tensor for name in state.parameter_names() for quantity, tensor in state.whole(name).items()
    }


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: "-".join(map(str, kind)))
def test_a_state_is_the_same_at_any_number_of_ranks(states: Path, kind: tuple[Any, ...]) -> None:
    name = "-".join(map(str, kind))
    original = saved(states / "by-2" / name, 2)
    expected = contents(original)
    assert {quantity for quantity, _ in expected} == {WEIGHT, *MOMENTS[kind[3]]}
    assert original.scalars() == ({} if kind[3] in ("sgd", "normalized-gradient", "lion") else {"step": 3.0})
    assert bool(wholes(original)) == (kind[3] == "adafactor")
    for label, count in (("2-to-1", 1), ("2-to-3", 3), ("3-to-2", 2)):
        found = saved(states / label / name, count)
        assert found.scalars() == original.scalars()
        actual = contents(found) | wholes(found)
        assert actual.keys() == (expected | wholes(original)).keys()
        for key, value in (expected | wholes(original)).items():
            assert torch.equal(value, actual[key]), (label, key)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: "-".join(map(str, kind)))
def test_training_goes_on_alike(states: Path, kind: tuple[Any, ...]) -> None:
    name = "-".join(map(str, kind))
    results = {
        label: json.loads((states / label / name / "losses.json").read_text())
        for label in ("by-2", "2-to-1", "2-to-3", "3-to-2")
    }
    tolerance = 1e-5 if kind[1] == "fp32" else 2e-2
    for result in results.values():
        assert result["after"] == pytest.approx(results["by-2"]["after"], abs=tolerance)
        assert result["again"] == pytest.approx(results["by-2"]["again"], abs=tolerance)
        assert result["norm"] == pytest.approx(results["by-2"]["norm"], rel=10 * tolerance)
    assert results["3-to-2"]["after"] == results["by-2"]["after"]  # the same number of ranks: the same bits


def test_all_stages_train_alike(states: Path) -> None:
    losses: dict[Any, list[float]] = {
        kind: json.loads((states / "by-2" / "-".join(map(str, kind)) / "losses.json").read_text())["again"]
        for kind in ADAM_KINDS
    }
    for kind, values in losses.items():
        assert values == pytest.approx(losses[0, "fp32", "none", "adamw"], abs=1e-5 if kind[1] == "fp32" else 3e-2), (
            kind
        )
