"""Compiled code: beside the source, or for a read-only image in a folder for temporary files, with what it brings."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pretrain_api.kernel_cache import READY, choose_kernel_cache, copy_ready


@pytest.fixture(autouse=True)
def _no_cache_chosen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", "")  # so that what is set here is unset afterwards
    monkeypatch.delenv("NUMBA_CACHE_DIR")
    monkeypatch.delenv(READY, raising=False)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


def test_beside_a_source_that_can_be_written(tmp_path: Path) -> None:
    choose_kernel_cache(tmp_path)
    assert "NUMBA_CACHE_DIR" not in os.environ


def test_among_temporary_files_otherwise(tmp_path: Path) -> None:
    choose_kernel_cache(tmp_path / "an image's read-only folder")
    assert os.environ["NUMBA_CACHE_DIR"] == str(tmp_path / f"pretrain-numba-{os.getuid()}")


def test_what_was_chosen_already_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", "/elsewhere")
    choose_kernel_cache(tmp_path / "read-only")
    assert os.environ["NUMBA_CACHE_DIR"] == "/elsewhere"


def test_what_an_image_brings_is_copied_once(tmp_path: Path) -> None:
    ready, cache = tmp_path / "ready", tmp_path / "cache"
    ready.mkdir()
    (ready / "kernel").write_text("new")
    copy_ready(ready, cache)
    (cache / "kernel").write_text("compiled again")
    copy_ready(ready, cache)
    assert [path.name for path in cache.iterdir()] == ["kernel"]
    assert (cache / "kernel").read_text() == "compiled again"


@pytest.mark.slow
def test_a_trainers_image_has_nothing_to_compile(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    compile_all = [sys.executable, "-m", "pretrain_trainer.objectives.compile_kernels"]
    subprocess.run(compile_all, env={**os.environ, "NUMBA_CACHE_DIR": str(ready)}, check=True)
    script = """
import os
os.access = lambda *_: False  # the read-only file system of an image, which root wouldn't notice
from pretrain_trainer.objectives.kernels import masking, noise, spans, text
from numba.core.dispatcher import Dispatcher
kernels = [value for module in (masking, noise, spans, text) for value in vars(module).values()
           if isinstance(value, Dispatcher) and value.signatures]
print(len(kernels), sum(sum(kernel.stats.cache_misses.values()) for kernel in kernels))
"""
    image = {**os.environ, READY: str(ready), "TMPDIR": str(tmp_path)}
    ended = subprocess.run([sys.executable, "-c", script], env=image, capture_output=True, text=True, check=True)
    count, misses = map(int, ended.stdout.split())
    assert count > 5
    assert misses == 0
