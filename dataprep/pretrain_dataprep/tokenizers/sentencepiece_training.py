"""Starts the training of a SentencePiece model and explains its failures."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from pretrain_api.names import Reason
from pretrain_api.spec.data import TrainTokenizer
from pretrain_dataprep.errors import ConfigurationError, InputError, PreparationError, TemporaryError
from pretrain_dataprep.files import json_bytes

_MODEL_TYPES = {"sentencepiece-bpe": "bpe", "sentencepiece-unigram": "unigram"}
_TOO_HIGH = re.compile(r"Vocabulary size too high \(\d+\)\. Please set it to a value <= (\d+)")
_TOO_LOW = re.compile(r"Vocabulary size is smaller than required_chars\. \d+ vs (\d+)")


def train_sentencepiece(options: TrainTokenizer, sentences: Path, model: Path) -> None:
    """Train a model from a file of lines.

    Raises:
        ConfigurationError: The algorithm isn't available.
        InputError: The vocabulary doesn't fit the text.
    """
    if options.algorithm not in _MODEL_TYPES:
        raise ConfigurationError(
            f"spec.data.tokenizer.train.algorithm: {options.algorithm} is not available yet; "
            f"use {', '.join(_MODEL_TYPES)}",
            Reason.NOT_AVAILABLE,
        )
    settings = {
        "sentences": str(sentences),
        "model": str(model),
        "modelType": _MODEL_TYPES[options.algorithm],
        "vocabSize": options.vocab_size,
        "characterCoverage": options.character_coverage,
        "byteFallback": options.byte_fallback,
    }
    settings_path = sentences.with_suffix(".json")
    settings_path.write_bytes(json_bytes(settings))
    code, output = _run([sys.executable, "-m", "pretrain_dataprep.tokenizers.train_sentencepiece", str(settings_path)])
    if code != 0:
        raise explain(options, code, output)


def _run(command: list[str]) -> tuple[int, str]:
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True) as process:
        try:
            _, output = process.communicate()
        except BaseException:
            process.kill()
            raise
    sys.stderr.write(output)
    return process.returncode, output


def explain(options: TrainTokenizer, code: int, output: str) -> PreparationError:
    """Return the error that says what SentencePiece's output means for the user."""
    where = "spec.data.tokenizer.train.vocabSize"
    too_high, too_low = _TOO_HIGH.search(output), _TOO_LOW.search(output)
    if too_high:
        return InputError(
            f"{where}: {options.vocab_size:,} pieces are more than the corpus allows; the largest possible "
            f"vocabSize is {too_high[1]}: lower it to that, or bring more text",
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
