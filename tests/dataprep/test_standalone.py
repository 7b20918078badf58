"""Blocks as commands on plain files."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import pyarrow.parquet as pq
import pytest
import zstandard

from pretrain_dataprep.megatron import read_facts
from pretrain_dataprep.standalone.command import run

from .conftest import corpus, write_jsonl


def read(folder: Path) -> list[dict[str, Any]]:
    records = []
    for path in sorted(folder.glob("*.jsonl.zst")):
        with zstandard.ZstdDecompressor().stream_reader(path.open("rb")) as stream:
            records += [orjson.loads(line) for line in io.BufferedReader(stream)]
    return records


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    return write_jsonl(tmp_path / "corpus/a.jsonl", corpus(1, 40))


def test_clean_keeps_duplicates(texts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    run(["clean", str(texts), "-o", str(out), "--redact", "email", "--keep-removed", "--shards", "2"])
    records = read(out / "documents")
    assert len(records) == len(corpus(1, 40)) - 1
    assert {record["source"] for record in records} == {"input"}
    assert sum("<EMAIL_" in record["text"] for record in records) == 1
    assert [record["reason"] for record in read(out / "removed")] == ["too-short"]
    assert f"{len(records)} documents are in {out / 'documents'}" in capsys.readouterr().out


def test_dedup_filters_nothing_and_names_survivors(texts: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = ["dedup", f"one={texts}", f"two={texts}", "-o", str(out), "--shards", "2", "--keep-removed"]
    run([*arguments, "--output-format", "parquet"])
    kept = [row for path in sorted((out / "documents").iterdir()) for row in pq.read_table(path).to_pylist()]
    removed = [row for path in sorted((out / "removed").iterdir()) for row in pq.read_table(path).to_pylist()]
    assert "too short" in {row["text"] for row in kept}
    assert len(kept) + len(removed) == 2 * len(corpus(1, 40))
    assert {row["reason"] for row in removed} == {"exact-duplicate", "near-duplicate"}
    assert all(row["survivorUnit"].startswith(("one-", "two-")) for row in removed)
    run([*arguments, "--exact-only"])
    assert not list((out / "documents").glob("*.parquet"))
    assert {record["reason"] for record in read(out / "removed")} == {"exact-duplicate"}


def test_tokenize_what_dedup_wrote(texts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(["dedup", str(texts), "-o", str(tmp_path / "kept"), "--shards", "1"])
    documents = str(tmp_path / "kept/documents")
    run(["tokenizer", documents, "-o", str(tmp_path / "t"), "--algorithm", "huggingface-bpe", "--vocab-size", "500"])
    assert "a tokenizer of 500 tokens" in capsys.readouterr().out
    given = str(tmp_path / "t/data/tokenizer")
    run(
        ["tokenize", documents, "-o", str(tmp_path / "tokens"), "--tokenizer", given, "--shards", "2", "--workers", "2"]
    )
    prefixes = sorted((tmp_path / "tokens/data/tokenized").glob("*.train.bin"))
    facts = [read_facts(Path(str(path).removesuffix(".bin"))) for path in prefixes]
    assert sum(each.sequences for each in facts) == len(read(tmp_path / "kept/documents"))


def test_fields_of_the_specification(texts: Path, tmp_path: Path) -> None:
    (tmp_path / "options.yaml").write_text("clean: {preset: none, minCharacters: 5}\nbadRecords: {maxFraction: 0.5}\n")
    out = tmp_path / "out"
    options = ["--config", str(tmp_path / "options.yaml"), "--set", "clean.maxCharacters=12", "--shards", "1"]
    run(["clean", str(texts), "-o", str(out), *options])
    assert [record["text"] for record in read(out / "documents")] == ["too short"]


def test_tokenize_augments_what_the_options_name(texts: Path, tmp_path: Path) -> None:
    (tmp_path / "options.yaml").write_text("augment: [{source: web, method: concatenate, share: 0.5}]\n")
    options = ["--config", str(tmp_path / "options.yaml"), "--shards", "1", "--set", "tokenizer.train.vocabSize=400"]
    run(["tokenize", f"web={texts}", "-o", str(tmp_path / "out"), *options])
    names = {path.name for path in (tmp_path / "out/data/tokenized").iterdir()}
    assert {
        "web-00000.train.bin",
        "web+concatenate-00000.train.bin",
        "web+concatenate-00000.augmented.parquet",
    } <= names


def command(*arguments: str) -> tuple[int, str]:
    ended = subprocess.run(
        [sys.executable, "-m", "pretrain_dataprep", *arguments], capture_output=True, text=True, check=False
    )
    return ended.returncode, ended.stdout + ended.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["--help"], 0, "Turn documents into Megatron's .bin/.idx pairs"),
        (["dedup", "--help"], 0, "Jaccard similarity of near-duplicates"),
        (["clean"], 2, "the following arguments are required: INPUT"),
        (["clean", "nowhere.jsonl", "-o", "{out}"], 65, "nowhere.jsonl"),
        (["clean", "a", "-o", "{out}", "--set", "clean.presett=1"], 64, "unknown field; did you mean 'preset'?"),
        (["clean", "a", "-o", "{out}", "--config", "nowhere.yaml"], 64, "nowhere.yaml: can't be read"),
    ],
)
def test_what_a_person_sees(arguments: list[str], code: int, text: str, tmp_path: Path) -> None:
    got, output = command(*(argument.format(out=tmp_path / "out") for argument in arguments))
    assert (got, text in output) == (code, True), output
    assert "Traceback" not in output
