"""What bench-dataprep measures is the work it says; clustering keeps to its memory."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.dataprep import ours, peers, redaction, topics
from benchmarks.dataprep.clustering import edges
from benchmarks.dataprep.corpus import read_texts, write_corpus

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bench") / "corpus.jsonl"
    assert "documents" in write_corpus(path, 300_000)
    return path


def test_our_side(corpus: Path, tmp_path: Path) -> None:
    texts = read_texts(corpus)
    assert sum(len(text.encode()) for text in texts) >= 300_000
    seconds, kept = ours.filter_seconds(texts)
    assert 0 < kept <= len(texts)
    assert seconds > 0
    prepared = ours.Preparation(
        tmp_path, {"sources": [{"name": "a", "uri": str(corpus)}], "shards": 1, "clean": {"preset": "none"}}
    )
    assert list(prepared.call(ours.DEDUP_STAGES)) == ["clean", "dedup-pairs", "dedup-clusters"]
    assert 0 < prepared.kept() <= len(texts)


def test_peers_shingle_and_sign(corpus: Path) -> None:
    assert peers.word_ngrams("A b, c d e f") == ["a b c d e", "b c d e f"]
    found = peers.datasketch_signatures(str(corpus))
    assert found["result"] == len(read_texts(corpus))
    assert found["seconds"] > 0


def test_clustering_takes_at_most_16_bytes_a_document() -> None:
    assert sum(len(piece) for piece in edges(3_000_000)) == 1_500_000
    command = [sys.executable, "-m", "benchmarks.dataprep.clustering", "3000000"]
    found = json.loads(subprocess.check_output(command, cwd=ROOT))
    assert found["bytesADocument"] <= 16


def test_redaction_beside_plain_expressions() -> None:
    texts = ["Write to a@b.org, card 4111 1111 1111 1111, password=k3jfh28shf92. " * 20]
    assert redaction.redaction_seconds(texts) > 0
    assert redaction.plain_seconds(texts) > 0
    assert redaction.search(texts[0].encode()) >= 60


def test_topics_are_found_in_parts_of_the_text(corpus: Path, tmp_path: Path) -> None:
    texts = read_texts(corpus)
    count = topics.write_parts(texts, tmp_path / "parts.jsonl")
    assert "".join(read_texts(tmp_path / "parts.jsonl")) == "".join(texts)
    assert count > topics.CLUSTERS
    assert all(seconds > 0 for seconds in topics.topic_seconds(texts))


@pytest.mark.slow
def test_the_memory_of_pairs_does_not_grow_with_the_documents() -> None:
    """A work item with 9 million keys: three times as many as are looked at together."""
    command = [sys.executable, "-m", "benchmarks.dataprep.pairs", "1000000"]
    found = json.loads(subprocess.check_output(command, cwd=ROOT))
    assert found["keys"] == 9_000_000
    assert found["edges"] > 190_000
    assert found["peakBytes"] < 700e6
