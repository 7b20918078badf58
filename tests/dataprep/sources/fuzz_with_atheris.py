"""Fuzzes a reader or an extractor, led by what parts of it the bytes reach:

python -m tests.dataprep.sources.fuzz_with_atheris TARGET [-max_total_time=60 and other options of libFuzzer]
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

# Before the others: Numba compiles its kernels from bytecode, which must be as Python made it.
import pretrain_dataprep.text.pii
import pretrain_dataprep.text.tidy  # noqa: F401

with atheris.instrument_imports(include=["pretrain_dataprep.sources"]):
    from tests.dataprep.sources.fuzz import TARGETS


def main(arguments: list[str]) -> None:
    """Fuzz one target until something breaks or the time is over."""
    target, example = TARGETS[arguments[1]]
    with tempfile.TemporaryDirectory() as corpus:
        (Path(corpus) / "example").write_bytes(example)
        atheris.Setup([arguments[0], corpus, *arguments[2:]], target)
        atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv)
