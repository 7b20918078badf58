"""How soon a job of two pods trains again, from its newest checkpoint, after a rank or a pod is gone."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from benchmarks.figures import Figure

_TESTS = Path(__file__).parents[2] / "tests" / "trainer"
RANK_LOST_SECONDS = 10.0
POD_LOST_SECONDS = 25.0


def recovery(folder: Path) -> list[Figure]:
    """Kill what the tests kill (tests/trainer/supervisor): real supervisors and ranks on loopback, no kubelet.

    A pod in a cluster also takes what its node needs to start one: some seconds for a container.
    """
    sys.path[:0] = [str(_TESTS), str(_TESTS / "supervisor")]
    folder.mkdir()
    with importlib.import_module("real_ranks").RealRanks(folder) as ranks:
        rank = ranks.kill_rank(node=1).seconds
        pods = {node: ranks.kill_pod(node).seconds for node in (1, 0)}
    return [
        Figure("rank killed → training again", rank, "seconds", RANK_LOST_SECONDS),
        *(Figure(f"pod {node} killed → training again", pods[node], "seconds", POD_LOST_SECONDS) for node in pods),
    ]
