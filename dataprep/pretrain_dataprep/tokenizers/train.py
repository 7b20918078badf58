"""Trains a tokenizer in a process of its own: `python -m pretrain_dataprep.tokenizers.train SETTINGS.json`.

The libraries' trainers can't be interrupted from Python; a process can.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

_PR_SET_PDEATHSIG = 1


def _die_with_parent(parent: int) -> None:
    """Don't outlive a killed parent (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before the kernel was asked; in a container, it is process 1
            sys.exit(1)


def sample(path: Path) -> Iterator[str]:
    """Yield the texts of a file of JSON strings, one a line."""
    with path.open("rb") as file:
        for line in file:
            yield orjson.loads(line)


def train(settings: dict[str, Any]) -> None:
    """Train and write the files. Raises RuntimeError with the library's message."""
    if settings["options"]["algorithm"].startswith("sentencepiece"):
        from pretrain_dataprep.tokenizers.train_sentencepiece import train_sentencepiece as train_it
    else:
        from pretrain_dataprep.tokenizers.train_huggingface import train_huggingface as train_it
    train_it(settings["options"], settings["reserved"], Path(settings["sample"]), Path(settings["folder"]))


def main(arguments: list[str]) -> int:
    """Run as a program."""
    settings = json.loads(Path(arguments[0]).read_bytes())
    _die_with_parent(settings["parent"])
    try:
        train(settings)
    except RuntimeError as error:
        print(f"tokenizer: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
