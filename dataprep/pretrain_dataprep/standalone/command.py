"""The command line of the blocks."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

BLOCKS = {
    "clean": "Normalise, filter and redact documents; write those that are kept.",
    "dedup": "Find exact and near-duplicates within and across the inputs; write the documents that stay.",
    "tokenizer": "Train a tokenizer on the inputs.",
    "tokenize": "Turn documents into Megatron's .bin/.idx pairs.",
    "augment": "Make new documents of a share of the given ones, as a source of their own.",
}
_INPUT = "path, glob, directory or URL of JSON lines, text, HTML, … (.gz, .zst, too); NAME=URI gives it a name"
_EPILOG = """\
Options beyond those here are fields of spec.data (docs/reference.md), in a file (--config) or one by one (--set, as
clean.maxWords=50000). What is finished isn't done again: the same command goes on where it stopped.
Exit codes: 0 done, 2 wrong options, 64 invalid configuration, 65 invalid or missing data, 70 internal error, 75 try
again.
"""


def run(arguments: Sequence[str]) -> int:
    """Do what the command line says; return the exit code.

    Raises:
        PreparationError: It can't be done.
        SystemExit: Help was asked for, or the options are wrong.
    """
    options = _parser().parse_args(arguments)
    if options.block == "augment":
        from pretrain_dataprep.standalone.augment import run_augment

        run_augment(options)
        return 0
    # Here: help needs none of it.
    from pretrain_dataprep.standalone.configuration import job_of
    from pretrain_dataprep.standalone.running import run_block

    data = _data(options)
    job = job_of(options.input, data, options.text_field, options.format)
    run_block(options.block, job, Path(options.output), options.workers, options.output_format)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m pretrain_dataprep", description="Blocks of the data preparation.")
    blocks = parser.add_subparsers(dest="block", required=True, metavar="BLOCK")
    for name, what in BLOCKS.items():
        block = blocks.add_parser(
            name, help=what, description=what, epilog=_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        if name != "augment":
            _add_common(block)
        _ADDERS[name](block)
    return parser


def _add_common(block: argparse.ArgumentParser) -> None:
    block.add_argument("input", nargs="+", metavar="INPUT", help=_INPUT)
    block.add_argument("-o", "--output", required=True, metavar="DIRECTORY", help="where everything is written")
    block.add_argument("--config", metavar="FILE", help="YAML with fields of spec.data, such as {clean: {…}}")
    block.add_argument("--set", action="append", default=[], metavar="PATH=VALUE", help="one field of spec.data")
    block.add_argument("--text-field", default="text", metavar="NAME", help="of JSON and Parquet records (text)")
    block.add_argument("--format", default="auto", help="of the inputs (auto: by the suffix)")
    block.add_argument("--shards", type=int, default=8, help="work items; decides how the output is divided (8)")
    block.add_argument("--workers", type=int, default=1, help="work items done at a time (1)")
    block.set_defaults(output_format="jsonl")


def _add_documents(block: argparse.ArgumentParser) -> None:
    block.add_argument(
        "--output-format", choices=("jsonl", "parquet"), default="jsonl", help="of documents/ (jsonl, zstd-compressed)"
    )
    block.add_argument("--keep-removed", action="store_true", help="write removed documents with their reasons, too")


def _add_clean(block: argparse.ArgumentParser) -> None:
    _add_documents(block)
    block.add_argument("--preset", help="set of filter rules (basic); see clean.preset")
    block.add_argument("--redact", metavar="KINDS", help="personal data to replace, as email,phone,ip")


def _add_dedup(block: argparse.ArgumentParser) -> None:
    _add_documents(block)
    block.add_argument("--threshold", type=float, help="Jaccard similarity of near-duplicates (0.8)")
    block.add_argument("--exact-only", action="store_true", help="leave near-duplicates in")
    block.add_argument("--keep", help="which one stays (longest); see dedup.keep")


def _add_training(block: argparse.ArgumentParser) -> None:
    block.add_argument("--algorithm", help="sentencepiece-bpe, sentencepiece-unigram, huggingface-bpe, -wordpiece")
    block.add_argument("--vocab-size", type=int, help="number of pieces (32000)")
    block.add_argument("--sample-bytes", type=int, help="most text it is trained on (100000000)")


def _add_tokenize(block: argparse.ArgumentParser) -> None:
    block.add_argument("--tokenizer", metavar="URI", help="SentencePiece model, tokenizer.json, or a directory with it")
    block.add_argument("--tiktoken", metavar="NAME", help="encoding whose files are at --tokenizer")
    block.add_argument("--validation", type=float, help="share of the documents held back (0)")


def _add_augment(block: argparse.ArgumentParser) -> None:
    block.add_argument("input", nargs="+", metavar="INPUT", help="path, glob, directory or URL, as of other blocks")
    block.add_argument("-o", "--output", required=True, metavar="DIRECTORY", help="where documents/ is written")
    block.add_argument(
        "--method", required=True, choices=("sentence-shuffle", "synonyms", "concatenate", "code-mix", "rewrite")
    )
    block.add_argument("--share", type=float, required=True, help="most new text, relative to the text read, as 0.01")
    block.add_argument("--name", help="of the new source (augmented-METHOD)")
    block.add_argument("--dictionary", metavar="FILE", help="synonyms: .json, or a line a word, between tabs")
    block.add_argument("--rate", type=float, default=0.1, help="share of the words with synonyms to replace (0.1)")
    block.add_argument("--other", nargs="+", default=[], metavar="URI", help="code-mix: documents of another language")
    block.add_argument("--command", help="rewrite: reads and writes JSON strings, one a line, such as a translator")
    block.add_argument(
        "--timeout-seconds", type=int, default=600, help="rewrite: end the command if it does nothing for so long (600)"
    )
    block.add_argument("--seed", type=int, default=1234, help="of all choices (1234)")
    block.add_argument("--text-field", default="text", metavar="NAME", help="of JSON and Parquet records (text)")
    block.add_argument("--format", default="auto", help="of the inputs (auto: by the suffix)")


_ADDERS = {
    "clean": _add_clean,
    "dedup": _add_dedup,
    "tokenizer": _add_training,
    "tokenize": _add_tokenize,
    "augment": _add_augment,
}


def _data(options: argparse.Namespace) -> dict[str, Any]:
    """Return the fields of spec.data: the block's defaults, the file, the options, each over the one before."""
    from pretrain_dataprep.standalone.configuration import set_value

    data: dict[str, Any] = dict(_DEFAULTS[options.block])
    data |= {"shards": options.shards}
    if options.config is not None:
        set_value(data, "", options.config, is_file=True)
    for path, value in _given(options).items():
        set_value(data, path, value)
    for entry in options.set:
        path, _, value = entry.partition("=")
        set_value(data, path, value, is_text=True)
    return data


_NO_CLEANING: dict[str, Any] = {"clean": {"preset": "none"}}
_NO_DEDUP: dict[str, Any] = {"dedup": {"exact": "none", "near": None}}
_NOTHING_HELD_BACK: dict[str, Any] = {"split": {"validation": 0.0}}
_DEFAULTS: dict[str, dict[str, Any]] = {
    "clean": {**_NO_DEDUP},
    "dedup": {**_NO_CLEANING},
    "tokenizer": {**_NO_CLEANING, **_NO_DEDUP},
    "tokenize": {**_NO_CLEANING, **_NO_DEDUP, **_NOTHING_HELD_BACK},
}


def _given(options: argparse.Namespace) -> dict[str, Any]:
    """Return the fields that options of the block stand for."""
    given = vars(options)
    fields = {
        "clean.preset": given.get("preset"),
        "clean.pii.redact": given["redact"].split(",") if given.get("redact") else None,
        "dedup.near.threshold": given.get("threshold"),
        "dedup.keep": given.get("keep"),
        "tokenizer.train.algorithm": given.get("algorithm"),
        "tokenizer.train.vocabSize": given.get("vocab_size"),
        "tokenizer.train.sampleBytes": given.get("sample_bytes"),
        "tokenizer.uri": given.get("tokenizer"),
        "tokenizer.tiktoken": given.get("tiktoken"),
        "split.validation": given.get("validation"),
        "keepRemoved": given.get("keep_removed") or None,
    }
    found = {path: value for path, value in fields.items() if value is not None}
    if given.get("exact_only"):
        found["dedup.near"] = None
    return found
