"""Two supervisors on loopback with the real ranks: training goes on after a rank or a whole pod is gone.

How soon, `python -m benchmarks.operator --only recovery` measures by the same steps.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from real_ranks import RealRanks

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def training(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealRanks]:
    with RealRanks(tmp_path_factory.mktemp("real")) as ranks:
        yield ranks


def test_a_killed_rank(training: RealRanks) -> None:
    again = training.kill_rank(node=1)
    print(f"rank killed: training again after {again.seconds:.1f} s")
    assert again.restarts == 1
    assert again.first_step >= again.newest_checkpoint > 0


@pytest.mark.parametrize("victim", [1, 0])
def test_a_killed_pod(training: RealRanks, victim: int) -> None:
    again = training.kill_pod(victim)
    print(f"pod {victim} killed and replaced at once: training again after {again.seconds:.1f} s")
    assert again.restarts == 1
    assert again.first_step >= again.newest_checkpoint > 0
