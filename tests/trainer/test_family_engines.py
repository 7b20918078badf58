"""Every family learns under every ZeRO stage, in FP32 and BF16, with activations kept or computed again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from family_worker import ENGINES, NETWORKS
from rank_harness import free_port

pytestmark = pytest.mark.slow
RANKS = 2


@pytest.fixture(scope="module")
def losses(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    target, port = tmp_path_factory.mktemp("families"), free_port()
    processes = []
    for rank in range(RANKS):
        variables = {
            "RANK": rank,
            "LOCAL_RANK": rank,
            "WORLD_SIZE": RANKS,
            "LOCAL_WORLD_SIZE": RANKS,
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": port,
            "PRETRAIN_CONFIG": "unused",
            "PRETRAIN_STORAGE": "unused",
            "PRETRAIN_RUN_DIRECTORY": "unused",
            "OMP_NUM_THREADS": 1,
        }
        command = [sys.executable, str(Path(__file__).with_name("family_worker.py")), str(target)]
        environment = {**os.environ, **{name: str(value) for name, value in variables.items()}}
        processes.append(subprocess.Popen(command, env=environment, stderr=subprocess.PIPE))
    try:
        errors = [process.communicate(timeout=1200)[1].decode() for process in processes]
        assert [process.returncode for process in processes] == [0] * RANKS, "\n".join(errors)[-5000:]
    finally:
        for process in processes:
            if process.poll() is None:
                process.kill()
                process.wait()
    found: dict[str, Any] = json.loads((target / "losses.json").read_text())
    return found


@pytest.mark.parametrize(("stage", "precision", "recompute"), ENGINES)
@pytest.mark.parametrize("name", NETWORKS)
def test_it_learns(losses: dict[str, Any], name: str, stage: int, precision: str, recompute: str) -> None:
    case = losses[f"{name}-{stage}-{precision}"]
    reference = losses[f"{name}-0-fp32"]
    assert case["after"][-1] < case["first"][0] - 0.05
    assert case["first"] == pytest.approx(reference["first"], rel=1e-4 if precision == "fp32" else 2e-2)
    assert case["loaded"] == pytest.approx(case["after"], rel=1e-6 if precision == "fp32" else 1e-3)
