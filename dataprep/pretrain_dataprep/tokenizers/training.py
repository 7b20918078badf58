"""Starts the training of a tokenizer and explains its failures."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import orjson

from pretrain_api.names import Reason
from pretrain_api.spec.data import TrainTokenizer
from pretrain_api.vocabulary import every_reserved_token
from pretrain_dataprep.errors import InputError, PreparationError, TemporaryError
from pretrain_dataprep.files import json_bytes
from pretrain_dataprep.tokenizers.sampling import passages, sentences

_TOO_HIGH = re.compile(r"Vocabulary size too high \(\d+\)\. Please set it to a value <= (\d+)")
_TOO_LOW = re.compile(r"Vocabulary size is smaller than required_chars\. \d+ vs (\d+)")


def train_tokenizer(options: TrainTokenizer, reserved: Sequence[str], documents: list[bytes], folder: Path) -> None:
    """Train a tokenizer in a process of its own and write its files into `folder`.

    Args:
        options: What to train.
        reserved: Special tokens beside those that pad, begin and end, in the order of their ids.
        documents: UTF-8; emptied to make room.
        folder: Where to write.

    Raises:
        InputError: The vocabulary doesn't fit the text.
        TemporaryError: The process was killed.
    """
    is_sentencepiece = options.algorithm.startswith("sentencepiece")
    text, settings_path = folder / "sample.jsonl", folder / "settings.json"
    with text.open("wb") as file:
        # Hugging Face's pre-tokenizers look at line ends; SentencePiece's unit is a line.
        lines = sentences(documents) if is_sentencepiece else passages(documents)
        file.writelines(orjson.dumps(line.decode()) + b"\n" for line in lines)
    documents.clear()
    settings = {
        "parent": os.getpid(),
        "sample": str(text),
        "folder": str(folder),
        "reserved": list(reserved),
        "options": options.model_dump(mode="json", by_alias=True),
    }
    settings_path.write_bytes(json_bytes(settings))
    code, output = _run([sys.executable, "-m", "pretrain_dataprep.tokenizers.train", str(settings_path)])
    text.unlink()
    settings_path.unlink()
    if code != 0:
        raise explain(options, reserved, code, output)


def _run(command: list[str]) -> tuple[int, str]:
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True) as process:
        try:
            _, output = process.communicate()
        except BaseException:
            process.kill()
            raise
    sys.stderr.write(output)
    return process.returncode, output


def explain(options: TrainTokenizer, reserved: Sequence[str], code: int, output: str) -> PreparationError:
    """Return the error that says what the library's output means for the user."""
    where = "spec.data.tokenizer.train.vocabSize"
    too_high, too_low = _TOO_HIGH.search(output), _TOO_LOW.search(output)
    if too_high:
        return InputError(
            f"{where}: {options.vocab_size:,} pieces are more than the corpus allows; the largest possible "
            f"vocabSize is {_largest(int(too_high[1]), options, reserved)}: lower it to that, or bring more text",
            Reason.VOCABULARY_TOO_LARGE,
        )
    if too_low:
        return InputError(
            f"{where}: {options.vocab_size:,} pieces are too few for the corpus' characters; the least vocabSize is "
            f"{too_low[1]}: raise it to that, or lower spec.data.tokenizer.train.characterCoverage"
        )
    if code < 0:
        return TemporaryError(
            f"the tokenizer's training was killed by signal {-code}; out of memory? lower sampleBytes"
        )
    last = output.strip().splitlines()[-1] if output.strip() else f"exit code {code}"
    return InputError(f"the tokenizer can't be trained on this corpus: {last}")


def _largest(allowed: int, options: TrainTokenizer, reserved: Sequence[str]) -> int:
    """Return the largest vocabulary, `allowed` being that with all of `reserved`: a smaller one has fewer sentinels."""
    every = every_reserved_token(options.vocab_size)
    if not set(every) <= set(reserved):
        return allowed
    pieces, others = allowed - len(reserved), len(reserved) - len(every)
    sizes = range(pieces, allowed + 1)
    return max(size for size in sizes if size - others - len(every_reserved_token(size)) <= pieces)
