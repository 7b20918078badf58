"""The same bytes whatever the workers, the order and the kills; the same documents and tokens whatever the shards."""

from __future__ import annotations

import contextlib
import json
import os
import random
import struct
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pretrain_api.names import PREPARATION_STAGES

Make = Callable[..., Any]


def sources(folder: Path) -> list[dict[str, Any]]:
    return [
        {"name": "lines", "uri": f"{folder}/*.jsonl", "weight": 0.7, "language": "en"},
        {"name": "texts", "uri": f"{folder}/*.txt", "weight": 0.3},
    ]


def token_documents(storage: Path) -> Counter[bytes]:
    """All tokenized documents with their source and role, read by the format's definition."""
    found: Counter[bytes] = Counter()
    for index_path in sorted(storage.glob("data/tokenized/*.idx")):
        index = index_path.read_bytes()
        assert index[:9] == b"MMIDIDX\x00\x00"
        version, code, sequences, boundaries = struct.unpack_from("<QBQQ", index, 9)
        assert (version, code, boundaries) == (1, 8, sequences + 1)
        lengths = np.frombuffer(index, np.int32, sequences, 34)
        pointers = np.frombuffer(index, np.int64, sequences, 34 + 4 * sequences)
        content = index_path.with_suffix(".bin").read_bytes()
        source, role = index_path.name.split("-")[0], index_path.name.split(".")[1]
        for length, pointer in zip(lengths, pointers, strict=True):
            found[f"{source}/{role}/".encode() + content[pointer : pointer + 2 * length]] += 1
    return found


@pytest.mark.slow
def test_workers_and_order_do_not_matter(preparation: Make, small_corpus: Path) -> None:
    results = []
    for workers in (1, 2, 5):
        prepared = preparation(f"workers-{workers}", sources=sources(small_corpus), shards=3)
        if workers == 1:
            prepared.call_all()
        else:
            prepared.run_all(workers, random.Random(workers))
        results.append(prepared.files())
    assert results[0].keys() == results[1].keys() == results[2].keys()
    for name, content in results[0].items():
        assert content == results[1][name] == results[2][name], name
    assert not [name for name in results[0] if ".tmp-" in name]


@pytest.mark.slow
def test_another_number_of_shards_keeps_the_same_documents_and_tokens(preparation: Make, small_corpus: Path) -> None:
    one = preparation("one", sources=sources(small_corpus), shards=1)
    three = preparation("three", sources=sources(small_corpus), shards=3)
    one.call_all()
    three.call_all()
    assert (one.layout.tokenizer / "tokenizer.model").read_bytes() == (
        three.layout.tokenizer / "tokenizer.model"
    ).read_bytes()
    assert token_documents(one.storage) == token_documents(three.storage)


@pytest.mark.slow
def test_kill_at_any_moment(preparation: Make, small_corpus: Path) -> None:
    seed = time.time_ns() % 1_000_000
    print(f"seed {seed}")
    generator = random.Random(seed)
    whole = preparation("whole", sources=sources(small_corpus))
    whole.call_all()
    killed = preparation("killed", sources=sources(small_corpus))
    for stage in PREPARATION_STAGES:
        for index in killed.items(stage):
            process = killed.start(stage, index)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(generator.uniform(0.3, 2.0))
            process.kill()
            process.communicate()
            outcome = killed.run(stage, index)
            assert outcome.code == 0, f"seed {seed}: {outcome.log}"
    assert killed.files() == whole.files(), f"seed {seed}"


@pytest.mark.slow
def test_only_what_changed_is_done_again(preparation: Make, small_corpus: Path) -> None:
    prepared = preparation(sources=sources(small_corpus))
    prepared.call_all()
    before = prepared.files()
    again = prepared.run_stage("clean")
    units = [line for outcome in again for line in outcome.log.splitlines() if line.startswith(("lines-", "texts-"))]
    assert len(units) == 4
    assert all("done already" in line for line in units)
    assert prepared.files() == before

    # A changed file of the same size and time is noticed and named; only its unit is done again.
    path = small_corpus / "part-1.jsonl"
    status = path.stat()
    content = path.read_text()
    path.write_text(content.replace("river", "rover", 1))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    log = "\n".join(outcome.log for outcome in prepared.run_stage("clean"))
    assert f"lines-00001: input {path} changed" in log
    assert log.count("done already") == 3

    # A changed option is noticed and named, and what doesn't depend on it stays.
    prepared.call_all()
    prepared.data["split"] = {"validation": 0.2}
    assert all("done already" in outcome.log for outcome in prepared.run_stage("clean"))
    assert all("done already" in outcome.log for outcome in prepared.run_stage("tokenizer"))
    assert all("an option it depends on changed" in outcome.log for outcome in prepared.run_stage("tokenize"))

    # A lost unit is named by the stage that needs it.
    (prepared.layout.clean / "texts-00001" / "documents.parquet").unlink()
    outcome = prepared.run("dedup-pairs")
    assert outcome.code == 75
    assert "texts-00001/documents.parquet is missing" in outcome.message["message"]
    assert prepared.run("clean", 1).code == 0
    assert prepared.run("dedup-pairs").code == 0


@pytest.mark.slow
def test_the_funnel_adds_up(preparation: Make, small_corpus: Path) -> None:
    prepared = preparation(
        sources=sources(small_corpus), clean={"pii": {"redact": ["email", "phone"]}}, keepRemoved=True
    )
    prepared.call_all()
    report = json.loads(prepared.layout.data_report.read_bytes())
    blend = json.loads(prepared.layout.blend.read_bytes())
    lines = report["sources"][0]
    assert lines["documentsRead"] == 4 * 126 + 20
    assert lines["documentsRead"] == lines["documentsKept"] + sum(entry["documents"] for entry in lines["removed"])
    removed = {entry["reason"]: entry["documents"] for entry in lines["removed"]}
    # 2 exact duplicates in each of 4 files, 20 documents of part-9 (some of them duplicates or too short themselves).
    assert removed["too-short"] >= 4
    assert removed["exact-duplicate"] >= 8 + 15
    assert removed["near-duplicate"] >= 4
    assert lines["redacted"]["email"] >= 4
    assert lines["redacted"]["phone"] >= 4
    assert blend["phases"] == [{"fromTokens": 0, "weights": {"lines": 0.7, "texts": 0.3}}]
    documents = token_documents(prepared.storage)
    assert sum(documents.values()) == sum(source["documentsKept"] for source in report["sources"])
    assert all(count == 1 for count in documents.values())
    tokens = sum((len(entry.split(b"/", 2)[2])) // 2 for entry in documents.elements())
    assert tokens == sum(source["trainTokens"] + source["validationTokens"] for source in report["sources"])
    event = json.loads(prepared.layout.ledger.read_text().splitlines()[-1])
    assert event["event"] == "data-prepared"
    prepared.call("blend")
    assert len(prepared.layout.ledger.read_text().splitlines()) == 1
