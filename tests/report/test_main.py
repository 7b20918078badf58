"""`python -m pretrain_report`: environment, files, exit codes, termination message."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pretrain_report.main import main, write_report


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Run the report of a storage in this process; return exit code and termination message."""

    def run_report(storage: Any) -> tuple[int, dict[str, Any]]:
        log = tmp_path / "termination-log"
        monkeypatch.setenv("PRETRAIN_CONFIG", str(storage.config))
        monkeypatch.setenv("PRETRAIN_STORAGE", str(storage.layout.root))
        monkeypatch.setenv("PRETRAIN_TERMINATION_LOG", str(log))
        return main(), json.loads(log.read_text())

    return run_report


def test_a_process_writes_page_and_picture(finished: Any, tmp_path: Path) -> None:
    log = tmp_path / "termination-log"
    environment = os.environ | {
        "PRETRAIN_CONFIG": str(finished.config),
        "PRETRAIN_STORAGE": str(finished.layout.root),
        "PRETRAIN_TERMINATION_LOG": str(log),
    }
    command = [sys.executable, "-m", "pretrain_report"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(path.name for path in finished.layout.report.iterdir()) == ["index.html", "loss.png"]
    assert (finished.layout.report / "loss.png").read_bytes().startswith(b"\x89PNG")
    message = json.loads(log.read_text())
    assert message["outcome"] == "Completed"
    assert message["counts"]["steps"] == 320


def test_the_same_storage_gives_the_same_bytes(finished: Any) -> None:
    def written() -> dict[str, bytes]:
        write_report(finished.job, finished.layout)
        return {path.name: path.read_bytes() for path in finished.layout.report.iterdir()}

    assert written() == written()


def test_an_empty_storage_gets_a_page_without_a_picture(storage: Any, run: Any) -> None:
    code, _ = run(storage)
    assert code == 0
    assert [path.name for path in storage.layout.report.iterdir()] == ["index.html"]


def test_missing_environment_is_exit_64(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("PRETRAIN_CONFIG", raising=False)
    assert main() == 64
    assert "PRETRAIN_CONFIG isn't set" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (None, "can't read the job: No such file"),
        ("{", "not a resolved job: "),
        ("[]", "not a resolved job: spec is missing"),
    ],
)
def test_a_wrong_configuration_is_exit_64(storage: Any, run: Any, content: str | None, part: str) -> None:
    storage.config.unlink()
    if content is not None:
        storage.config.write_text(content)
    code, message = run(storage)
    assert code == 64
    assert message["reason"] == "InvalidConfiguration"
    assert message["message"].startswith(f"{storage.config}: ")
    assert part in message["message"]


def test_a_missing_storage_is_exit_64(storage: Any, run: Any) -> None:
    for path in sorted(storage.layout.root.rglob("*"), reverse=True):
        path.rmdir()
    storage.layout.root.rmdir()
    code, message = run(storage)
    assert code == 64
    assert "the storage isn't there" in message["message"]


def test_a_full_disk_keeps_the_old_report(finished: Any, run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(finished)[0] == 0
    before = (finished.layout.report / "index.html").read_bytes()

    def disk_full(descriptor: int) -> None:
        raise OSError(28, "No space left on device", str(finished.layout.report / "index.html"))

    monkeypatch.setattr(os, "fsync", disk_full)
    code, message = run(finished)
    assert code == 75
    assert message["reason"] == "StorageFull"
    assert (finished.layout.report / "index.html").read_bytes() == before
    assert sorted(path.name for path in finished.layout.report.iterdir()) == ["index.html", "loss.png"]
