"""Trains SentencePiece in a process of its own: `python -m …tokenizers.train_sentencepiece OPTIONS.json`.

SentencePiece's trainer can't be interrupted from Python; a process can. Normalisation is the identity: the text is
clean already, and decoding must give back what was encoded, whitespace and all (as in LLaMA's tokenizer: digits are
split, runs of spaces may be pieces, unknown characters fall back to bytes).
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

_PR_SET_PDEATHSIG = 1


def _die_with_parent() -> None:
    """Don't outlive a killed parent (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() == 1:
            sys.exit(1)


def _lines(path: Path) -> Iterator[str]:
    with path.open("rb") as file:
        for line in file:
            yield line.rstrip(b"\n").decode("utf-8")


def train(options: dict[str, Any]) -> None:
    """Train and write the model. Raises RuntimeError with SentencePiece's message."""
    import sentencepiece

    with Path(options["model"]).open("wb") as model:
        sentencepiece.SentencePieceTrainer.train(
            # An iterator, not a file name: that would be kept in the model, which must not depend on where we work.
            sentence_iterator=_lines(Path(options["sentences"])),
            model_writer=model,
            model_type=options["modelType"],
            vocab_size=options["vocabSize"],
            character_coverage=options["characterCoverage"],
            byte_fallback=options["byteFallback"],
            pad_id=0,
            unk_id=1,
            bos_id=2,
            eos_id=3,
            normalization_rule_name="identity",
            remove_extra_whitespaces=False,
            split_digits=True,
            allow_whitespace_only_pieces=True,
            max_sentence_length=1 << 16,
            # More threads are no faster here, and the number is written into the model.
            num_threads=1,
            minloglevel=1,
        )


def main(arguments: list[str]) -> int:
    """Run as a program."""
    _die_with_parent()
    options = json.loads(Path(arguments[0]).read_bytes())
    try:
        train(options)
    except RuntimeError as error:
        print(f"SentencePiece: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
