"""A storage that is full: nothing is lost, and the message says what to do."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from rank_harness import events, job, losses, run_ranks, synthetic_blend

from pretrain_api.wire import ExitCode

pytestmark = pytest.mark.slow


def mount(path: Path, options: str) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(path)], check=True, capture_output=True)


@pytest.fixture
def small_storage(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "small"
    path.mkdir()
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("a small file system can be mounted by root only")
    try:
        mount(path, "size=3500k")
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no tmpfs can be mounted here: {error.stderr.decode().strip()}")
    yield path
    subprocess.run(["umount", str(path)], check=True)


def test_older_checkpoints_stay_and_training_goes_on_when_there_is_space(small_storage: Path, tmp_path: Path) -> None:
    reference = tmp_path / "reference"
    reference.mkdir()
    for storage in (reference, small_storage):
        synthetic_blend(storage)
    run_ranks(reference, job(reference))
    config = job(small_storage)
    ranks = run_ranks(small_storage, config, expect=ExitCode.TRY_AGAIN)
    result = ranks.result()
    assert result["reason"] == "StorageFull"
    assert "free space or enlarge the storage" in result["message"]
    names = sorted(path.name for path in (small_storage / "checkpoints").iterdir())
    assert names  # older ones, and nothing half-written
    assert all(name in {"step-000000005", "step-000000010"} for name in names)
    mount(small_storage, "remount,size=50m")
    run_ranks(small_storage, config)
    assert losses(small_storage) == losses(reference)
    assert not events(small_storage, "checkpoint-corrupt")
