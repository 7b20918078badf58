"""Bad input, through the real command line: a clear message, no traceback, nothing lost, the right exit code."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .conftest import Outcome, Preparation, corpus, write_jsonl

Make = Callable[..., Preparation]


def failed(outcome: Outcome, code: int, reason: str, *parts: str) -> None:
    """Check how a process failed: exit code, reason, one line that names the culprit, no traceback."""
    assert outcome.code == code, outcome.log
    assert outcome.message["outcome"] == "Failed"
    assert outcome.message["reason"] == reason
    message = outcome.message["message"]
    for part in parts:
        assert part in message
    assert "\n" not in message
    assert "Traceback" not in outcome.log


def with_source(preparation: Make, uri: object, **data: Any) -> Preparation:
    return preparation(sources=[{"name": "web", "uri": str(uri)}], shards=1, **data)


def nothing_half_written(prepared: Preparation) -> None:
    assert not list(prepared.storage.rglob(".tmp-*"))


def test_missing_path(preparation: Make, tmp_path: Path) -> None:
    outcome = with_source(preparation, tmp_path / "nowhere.jsonl").run("clean")
    failed(outcome, 65, "MissingData", f"{tmp_path}/nowhere.jsonl: no such file")


def test_pattern_without_match(preparation: Make, tmp_path: Path) -> None:
    outcome = with_source(preparation, tmp_path / "*.jsonl").run("clean")
    failed(outcome, 65, "MissingData", "*.jsonl: no file matches")


def test_unknown_suffix(preparation: Make, tmp_path: Path) -> None:
    (tmp_path / "data.bin").write_bytes(b"x")
    failed(with_source(preparation, tmp_path / "data.bin").run("clean"), 65, "MissingData", "set the source's format")


def test_empty_corpus(preparation: Make, tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").touch()
    prepared = with_source(preparation, tmp_path / "empty.jsonl")
    assert prepared.run("clean").code == 0
    failed(prepared.run("dedup-pairs"), 65, "EmptyCorpus", "empty.jsonl", "no document in 1 files")


def test_nothing_left_names_the_rules(preparation: Make, tmp_path: Path) -> None:
    write_jsonl(tmp_path / "short.jsonl", ["short"] * 3 + ["aa bb " * 100])
    prepared = with_source(preparation, tmp_path / "short.jsonl")
    prepared.call("clean")
    failed(prepared.run("dedup-pairs"), 65, "EmptyCorpus", "too-short 3", "words-too-short 1", "spec.data.clean")


def test_broken_json_line_over_the_share(preparation: Make, tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "a.jsonl", corpus(1, 20))
    lines = path.read_text().splitlines()
    lines[6] = lines[6][:-5]
    path.write_text("\n".join(lines) + "\n")
    prepared = with_source(preparation, path)
    outcome = prepared.run("clean")
    failed(
        outcome, 65, "TooManyBadRecords", f"{path}:7: invalid JSON", "1 of 26 records", "data.badRecords.maxFraction"
    )
    nothing_half_written(prepared)


def test_bad_records_within_the_share_are_set_aside(preparation: Make, tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "a.jsonl", corpus(1, 94))
    content = path.read_bytes().splitlines()
    content[4] = b'{"text": 5}'
    content[5] = b'{"body": "x"}'
    content[6] = b'{"text": "\xff\xfe"}'
    content[7] = b"[1, 2]"
    content[8] = b'{"text": "\\ud800"}'
    path.write_bytes(b"\n".join(content) + b"\n")
    prepared = with_source(preparation, path, badRecords={"maxFraction": 0.05})
    assert prepared.run("clean").code == 0
    unit = prepared.layout.clean / "web-00000"
    bad = [json.loads(line) for line in (unit / "bad-records.jsonl").read_text().splitlines()]
    assert [entry["location"] for entry in bad] == [f"{path}:{line}" for line in (5, 6, 7, 8, 9)]
    causes = [entry["cause"] for entry in bad]
    assert causes == [
        "field 'text' is a number instead of a string",
        "no field 'text'; the record has 'body'",
        "invalid UTF-8 at byte 11 of the line",
        "a JSON array instead of an object",
        "field 'text' has a lone surrogate, which is no character",
    ]
    assert json.loads((unit / "MANIFEST.json").read_bytes())["counts"]["badRecords"] == 5


def test_invalid_utf8_in_a_text_file(preparation: Make, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"first line\nsecond \xff line\n")
    outcome = with_source(preparation, tmp_path / "a.txt").run("clean")
    failed(outcome, 65, "TooManyBadRecords", f"{tmp_path}/a.txt:2: invalid UTF-8 at byte 8")


@pytest.mark.parametrize("suffix", ["gz", "zst"])
def test_truncated_compressed_file(preparation: Make, tmp_path: Path, suffix: str) -> None:
    import zstandard

    content = write_jsonl(tmp_path / "whole.jsonl", corpus(1)).read_bytes()
    packed = gzip.compress(content) if suffix == "gz" else zstandard.compress(content)
    path = tmp_path / f"cut.jsonl.{suffix}"
    path.write_bytes(packed[: len(packed) // 2])
    outcome = with_source(preparation, path).run("clean")
    failed(outcome, 65, "InvalidData", f"{path}: the compressed file is truncated (after ", "uncompressed bytes)")


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["jsonl.gz", "jsonl.zst", "warc.gz", "parquet"])
def test_damaged_files_can_be_set_aside(preparation: Make, tmp_path: Path, suffix: str) -> None:
    """What was read before the damage stays, one bad record says why there is no more."""
    # More than zstd packs into a block, which is the least that can be read of it.
    content = packed(suffix, [text for seed in range(10, 14) for text in corpus(seed)], tmp_path)
    path = tmp_path / "web" / f"cut.{suffix}"
    write_jsonl(tmp_path / "web" / "good.jsonl", corpus(2))
    path.write_bytes(content[: 2 * len(content) // 3])
    settings = {"maxFraction": 0.5, "damagedFiles": "set-aside"}
    prepared = with_source(preparation, tmp_path / "web", badRecords=settings, clean={"preset": "none"})
    outcome = prepared.run("clean")
    assert outcome.code == 0, outcome.log
    (bad,) = [json.loads(line) for line in (prepared.layout.clean / "web-00000/bad-records.jsonl").open()]
    assert bad["location"] == str(path)
    assert "the compressed file is truncated (after " in bad["cause"] or "the Parquet file is damaged" in bad["cause"]
    counts = json.loads((prepared.layout.clean / "web-00000/MANIFEST.json").read_bytes())["counts"]
    assert counts["badRecords"] == 1
    assert counts["documentsIn"] > len(corpus(2)) - 1 + (0 if suffix == "parquet" else 20)


def packed(suffix: str, texts: list[str], folder: Path) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq
    import zstandard

    if suffix == "parquet":
        pq.write_table(pa.table({"text": texts}), folder / "table")
        return (folder / "table").read_bytes()
    if suffix == "warc.gz":
        records = (
            f"WARC/1.0\r\nWARC-Type: conversion\r\nWARC-Target-URI: http://x/{number}\r\nContent-Type: text/plain\r\n"
            f"Content-Length: {len(text)}\r\n\r\n{text}\r\n\r\n"
            for number, text in enumerate(texts)
        )
        return gzip.compress("".join(records).encode())
    lines = "".join(json.dumps({"text": text}) + "\n" for text in texts).encode()
    return gzip.compress(lines) if suffix.endswith("gz") else zstandard.ZstdCompressor().compress(lines)


@pytest.mark.slow
def test_a_line_of_a_gigabyte(preparation: Make, tmp_path: Path) -> None:
    """Takes the memory of the longest line allowed, not its own."""
    path = write_jsonl(tmp_path / "a.jsonl", corpus(1, 30))
    with path.open("ab") as file:
        file.write(b'{"text": "')
        file.truncate(file.tell() + (1 << 30))
    with path.open("ab") as file:
        file.write(b'"}\n' + write_jsonl(tmp_path / "b.jsonl", corpus(2, 30)).read_bytes())
    (tmp_path / "b.jsonl").unlink()
    prepared = with_source(preparation, path, badRecords={"maxFraction": 0.1})
    environment = {**os.environ, **prepared.variables("clean")}
    script = (
        "import re, sys; from pathlib import Path; from pretrain_dataprep.main import main; code = main(['clean']); "
        # Not ru_maxrss: a new process has its parent's.
        "print(int(re.search(r'VmHWM:\\s+(\\d+) kB', Path('/proc/self/status').read_text())[1]) >> 10); sys.exit(code)"
    )
    result = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert int(result.stdout) < 600
    (bad,) = [json.loads(line) for line in (prepared.layout.clean / "web-00000/bad-records.jsonl").open()]
    assert bad["location"] == f"{path}:37"
    assert "longer than 33,554,432 bytes" in bad["cause"]
    assert json.loads((prepared.layout.clean / "web-00000/MANIFEST.json").read_bytes())["counts"]["documentsIn"] == 72


@pytest.mark.parametrize("suffix", ["gz", "zst"])
def test_not_compressed_at_all(preparation: Make, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"plain.jsonl.{suffix}"
    path.write_text('{"text": "not compressed"}\n')
    failed(with_source(preparation, path).run("clean"), 65, "InvalidData", f"{path}: the compressed file is damaged")


def test_one_source_that_fails_does_not_keep_the_others_from_being_done(preparation: Make, tmp_path: Path) -> None:
    good = write_jsonl(tmp_path / "good.jsonl", corpus(1, 20))
    sources = [{"name": "bad", "uri": str(tmp_path / "none.jsonl")}, {"name": "good", "uri": str(good)}]
    prepared = preparation(sources=sources, shards=1)
    failed(prepared.run("clean"), 65, "MissingData", "none.jsonl")
    assert (prepared.layout.clean / "good-00000" / "MANIFEST.json").exists()


@pytest.mark.slow
def test_vocabulary_larger_than_the_corpus_allows(preparation: Make, tmp_path: Path) -> None:
    write_jsonl(tmp_path / "a.jsonl", corpus(1, 30))
    prepared = with_source(preparation, tmp_path / "a.jsonl", tokenizer={"train": {"vocabSize": 50_000}})
    for stage in ("clean", "dedup-pairs", "dedup-clusters"):
        prepared.call(stage)
    outcome = prepared.run("tokenizer")
    failed(outcome, 65, "VocabularyTooLarge", "vocabSize", "50,000 pieces", "the largest possible vocabSize is ")
    nothing_half_written(prepared)
    largest = int(outcome.message["message"].split("possible vocabSize is ")[1].split(":")[0])
    prepared.data["tokenizer"] = {"train": {"vocabSize": largest}}
    assert prepared.run("tokenizer").code == 0


@pytest.mark.slow
def test_corpus_too_small_for_one_sequence(preparation: Make, tmp_path: Path) -> None:
    write_jsonl(tmp_path / "a.jsonl", corpus(1, 5))
    training = {"tokens": "1M", "sequenceLength": 8192, "batch": {"stages": [{"tokens": 8192, "from": 0}]}}
    prepared = with_source(preparation, tmp_path / "a.jsonl", tokenizer={"train": {"vocabSize": 350}})
    prepared.training = {**training, "learningRate": {"peak": 1e-3}}
    for stage in ("clean", "dedup-pairs", "dedup-clusters", "tokenizer", "tokenize"):
        prepared.call(stage)
    failed(prepared.run("blend"), 65, "CorpusTooSmall", "source web has", "spec.training.sequenceLength")


def in_small_storage(prepared: Preparation, mount_options: str, commands: str) -> subprocess.CompletedProcess[str]:
    """Run commands in a mount namespace where the storage is a tmpfs; skip where that isn't permitted."""
    script = f"mount -t tmpfs -o {mount_options} tmpfs {prepared.storage} && echo mounted && {commands}"
    result = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script],
        env={**os.environ, **prepared.variables("clean")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if "mounted" not in result.stdout:
        pytest.skip(f"can't mount a tmpfs here: {result.stderr.strip()}")
    return result


@pytest.mark.slow
def test_full_disk(preparation: Make, tmp_path: Path) -> None:
    write_jsonl(tmp_path / "a.jsonl", corpus(1, 2000))
    prepared = with_source(preparation, tmp_path / "a.jsonl")
    result = in_small_storage(
        prepared,
        "size=400k",
        f"{sys.executable} -m pretrain_dataprep clean; echo code $?; find {prepared.storage} -type f | wc -l; "
        f"mount -o remount,size=100m {prepared.storage}; {sys.executable} -m pretrain_dataprep clean; echo code $?",
    )
    assert result.stdout.split() == ["mounted", "code", "75", "0", "code", "0"], result.stderr
    assert "StorageFull: " in result.stderr
    assert "no space left" in result.stderr
    assert "Traceback" not in result.stderr


def test_read_only_storage(preparation: Make, tmp_path: Path) -> None:
    write_jsonl(tmp_path / "a.jsonl", corpus(1, 5))
    prepared = with_source(preparation, tmp_path / "a.jsonl")
    result = in_small_storage(prepared, "ro", f"{sys.executable} -m pretrain_dataprep clean; echo code $?")
    assert result.stdout.split() == ["mounted", "code", "64"], result.stderr
    assert f"StorageNotWritable: {prepared.storage}: " in result.stderr
    assert "Traceback" not in result.stderr


def test_stop_signal(preparation: Make, tmp_path: Path) -> None:
    write_jsonl(tmp_path / "a.jsonl", corpus(1, 12_000))
    prepared = with_source(preparation, tmp_path / "a.jsonl")
    process = prepared.start("clean")
    deadline = time.monotonic() + 60
    while not list(prepared.layout.clean.glob(".tmp-*")) and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    begin = time.monotonic()
    _, log = process.communicate(timeout=60)
    assert process.returncode == 143, log
    assert time.monotonic() - begin < 5
    message = json.loads((prepared.root / "clean-0.termination").read_bytes())
    assert (message["outcome"], message["reason"]) == ("Stopped", "Stopped")
    assert not list(prepared.layout.clean.iterdir())


@pytest.mark.parametrize(
    ("variable", "value", "part"),
    [
        ("PRETRAIN_CONFIG", "", "PRETRAIN_CONFIG isn't set"),
        ("PRETRAIN_CONFIG", "/nowhere.json", "/nowhere.json: can't read the job"),
        ("PRETRAIN_STORAGE", "/nowhere", "/nowhere: the storage isn't there"),
        ("JOB_COMPLETION_INDEX", "7", "must be a number from 0 to 0"),
        ("PRETRAIN_HTTP_PORT", "x", "must be a port number"),
    ],
)
def test_bad_environment(preparation: Make, tmp_path: Path, variable: str, value: str, part: str) -> None:
    prepared = with_source(preparation, tmp_path / "a.jsonl")
    prepared.environment[variable] = value
    failed(prepared.run("clean"), 64, "InvalidConfiguration", part)
