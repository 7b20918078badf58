"""The launcher with the real torch and DeepSpeed in memory."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from harness import Rehearsals, children, kill, wait_until

from pretrain_trainer.supervisor.launcher import import_all

pytestmark = pytest.mark.slow


def memory_megabytes(pid: int) -> dict[str, float]:
    """Return the memory of a process: its own and its share of what it has in common with others."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    sizes = {line.split(":")[0]: int(line.split()[1]) / 1024 for line in rollup}
    return {name: round(sizes[name], 1) for name in ("Rss", "Pss", "Private_Dirty")}


def test_a_forked_rank_is_like_a_fresh_interpreter(rehearsals: Rehearsals) -> None:
    portraits = []
    for warm in ("true", "false"):
        (rehearsals.storage / "completed.json").unlink(missing_ok=True)
        imports = "torch,deepspeed,portrait_program"
        node = rehearsals.start(
            PRETRAIN_RANK_MODULE="portrait_program", PRETRAIN_WARM_STANDBY=warm, PRETRAIN_STANDBY_IMPORTS=imports
        )
        assert node.wait() == 0
        assert any(f"({'warm' if warm == 'true' else 'cold'})" in line for line in node.lines)
        portraits.append([json.loads((rehearsals.storage / f"portrait-{rank}.json").read_text()) for rank in (0, 1)])
    seeds = [each.pop("seeds") for both in portraits for each in both]
    for states in zip(*seeds, strict=True):
        assert len(set(states)) == 4, "random states that nobody has set are drawn anew for each process"
    for forked, fresh in zip(*portraits, strict=True):
        assert {name for name in fresh if forked[name] != fresh[name]} == set(), (forked, fresh)
    assert portraits[0][0]["total"] == 3.0
    assert portraits[0][0]["loaded"] == [0, 1, 4, 9, 16, 25, 36, 49]


@pytest.mark.parametrize("warm", ["true", "false"])
def test_restart_with_torch(rehearsals: Rehearsals, warm: str) -> None:
    rehearsals.plan |= {"steps": 100_000, "imports": ["torch", "deepspeed"]}
    rehearsals.environment["PRETRAIN_STANDBY_IMPORTS"] = "torch,deepspeed,rank_program"
    began = time.time()
    node = rehearsals.start(PRETRAIN_WARM_STANDBY=warm)
    wait_until(lambda: node.step() >= 5, "training")
    print(f"warm: {warm}; first step seen after {time.time() - began:.2f} s")
    [launcher] = children(node.process.pid)
    print(f"launcher: {memory_megabytes(launcher)} MB")
    victim = rehearsals.living_rank(1)
    assert victim is not None
    print(f"rank: {memory_megabytes(victim)} MB")
    moment = time.time()
    kill(victim)
    times = wait_until(lambda: [life["time"] for life in rehearsals.lives()][2:], "ranks are back")
    print(f"warm: {warm}; ranks back {max(times) - moment:.2f} s after the kill")
    assert all(life["modules"] == ["deepspeed", "torch"] for life in rehearsals.lives())
    if warm == "true":
        assert max(times) - moment < 3.0


def test_ranks_start_cold_when_an_import_fails(rehearsals: Rehearsals) -> None:
    node = rehearsals.start(PRETRAIN_STANDBY_IMPORTS="no_such_module")
    assert node.wait() == 0
    assert any("ModuleNotFoundError: No module named 'no_such_module'" in line for line in node.lines)


def test_import_all_says_what_fails(capsys: pytest.CaptureFixture[str]) -> None:
    assert import_all(("json",))
    assert not import_all(("json", "no_such_module"))
    assert "no_such_module" in capsys.readouterr().err
