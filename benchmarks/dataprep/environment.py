"""A virtual environment for the peers: their requirements don't fit this project's pinned versions."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

PEERS = ("datatrove==0.10.1", "datasketch==2.0.0", "rensa==0.5.0", "text-dedup==0.4.0", "scikit-learn==1.9.1")
# What datatrove's readers, filters and tokenizer need beside it.
_NEEDED = ("spacy", "tokenizers==0.23.3", "orjson", "fasteners", "regex", "xxhash<4", "setuptools<81")
_PROGRAM = Path(__file__).with_name("peers.py")


def peers_python() -> Path:
    """Return the Python of the peers' environment; make it first, if it isn't there (minutes, and some 2 GB)."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    folder = Path(os.environ.get("BENCH_DATAPREP_PEERS", cache / "pretrain" / "bench-dataprep-peers"))
    done = folder / "installed.txt"
    wanted = "\n".join((*PEERS, *_NEEDED))
    if not done.exists() or done.read_text() != wanted:
        print(f"installing {', '.join(PEERS)} into {folder} …", file=sys.stderr)
        venv.create(folder, with_pip=True)
        subprocess.run([folder / "bin/python", "-m", "pip", "install", "-q", *PEERS, *_NEEDED], check=True)
        done.write_text(wanted)
    return folder / "bin" / "python"


def run_peer(python: Path, task: str, *arguments: str | Path) -> dict[str, Any]:
    """Run a task of `peers.py` on this process's core; return its result: CPU seconds and what it made."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment |= {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}
    command = [str(python), "-P", str(_PROGRAM), task, *map(str, arguments)]
    finished = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if finished.returncode != 0:
        raise RuntimeError(f"{task}: {' '.join(command)} failed:\n{finished.stderr[-2000:]}")
    result: dict[str, Any] = json.loads(finished.stdout.splitlines()[-1])
    return result
