"""Options end to end: no deduplication, a given tokenizer, unigram, removed documents kept, stale units removed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import sentencepiece

from pretrain_dataprep.megatron import read_facts

from .conftest import Preparation, corpus, write_jsonl

Make = Callable[..., Preparation]


def report(prepared: Preparation) -> dict[str, object]:
    content: dict[str, object] = json.loads(prepared.layout.data_report.read_bytes())
    return content


def removed(prepared: Preparation) -> dict[str, int]:
    sources = json.loads(prepared.layout.data_report.read_bytes())["sources"]
    return {entry["reason"]: entry["documents"] for entry in sources[0]["removed"]}


def test_without_deduplication(preparation: Make, tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "a.jsonl", corpus(1, 40))
    sources = [{"name": "web", "uri": str(path)}]
    prepared = preparation("off", sources=sources, dedup={"exact": "none", "near": None})
    prepared.call_all()
    assert removed(prepared) == {"too-short": 1}
    exact = preparation("exact", sources=sources, dedup={"exact": "document", "near": None})
    exact.call_all()
    assert removed(exact) == {"too-short": 1, "exact-duplicate": 2}
    assert not (exact.layout.clean / "web-00000" / "signatures.npy").exists()


@pytest.mark.slow
def test_given_tokenizer_and_text_that_comes_back(preparation: Make, tmp_path: Path) -> None:
    texts = [text + "\n\n\tindented  code 123 – é 中 😀" for text in corpus(1, 40)]
    sources = [{"name": "web", "uri": str(write_jsonl(tmp_path / "a.jsonl", texts))}]
    first = preparation(
        "first",
        sources=sources,
        shards=1,
        split={"validation": 0.0},
        tokenizer={"train": {"algorithm": "sentencepiece-unigram", "vocabSize": 420}},
    )
    first.call_all()
    model = first.layout.tokenizer / "tokenizer.model"
    second = preparation("second", sources=sources, shards=1, split={"validation": 0.0}, tokenizer={"uri": str(model)})
    second.call_all()
    name = "data/tokenized/web-00000.train.bin"
    assert (first.storage / name).read_bytes() == (second.storage / name).read_bytes()
    blend = json.loads(second.layout.blend.read_bytes())
    assert blend["sources"][0]["pairs"][0]["validation"] is None
    assert blend["specialTokens"] == {"pad": 0, "unk": 1, "bos": 2, "eos": 3}
    tokens = np.fromfile(second.storage / name, np.uint16)
    documents = np.split(tokens, np.flatnonzero(tokens == 3)[:-1] + 1)
    processor = sentencepiece.SentencePieceProcessor(model_file=str(model))
    decoded = [processor.decode([int(token) for token in document[:-1]]) for document in documents]
    kept = pq.read_table(second.layout.clean / "web-00000" / "documents.parquet").column("text").to_pylist()
    assert set(decoded) <= set(kept)
    assert len(decoded) == blend["sources"][0]["trainDocuments"]


def test_removed_documents_are_written_out(preparation: Make, tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "a.jsonl", corpus(1, 40))
    prepared = preparation(sources=[{"name": "web", "uri": str(path)}], shards=1, keepRemoved=True)
    prepared.call_all()
    by_rule = pq.read_table(prepared.layout.clean / "web-00000" / "removed.parquet").to_pylist()
    assert [(row["text"], row["reason"]) for row in by_rule] == [("too short", "too-short")]
    duplicates = pq.read_table(prepared.layout.tokenized / "web-00000.duplicates.parquet").to_pylist()
    documents = pq.read_table(prepared.layout.clean / "web-00000" / "documents.parquet").to_pylist()
    reasons = [row["reason"] for row in duplicates]
    assert reasons.count("exact-duplicate") == removed(prepared)["exact-duplicate"] == 2
    assert reasons.count("near-duplicate") == removed(prepared)["near-duplicate"] >= 1
    for row in duplicates:
        survivor = documents[row["survivorRow"]]
        assert row["survivorUnit"] == "web-00000"
        assert (survivor["text"] == row["text"]) == (row["reason"] == "exact-duplicate")
        assert len(survivor["text"]) >= len(row["text"])


def test_units_of_earlier_settings_go(preparation: Make, tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "a.jsonl", corpus(1, 40))
    prepared = preparation(sources=[{"name": "web", "uri": str(path)}], shards=3)
    prepared.call_all()
    prepared.data["shards"] = 1
    prepared.call_all()
    assert [folder.name for folder in prepared.layout.clean.iterdir()] == ["web-00000"]
    assert sorted(folder.name for folder in prepared.layout.dedup.iterdir()) == ["clusters", "pairs-00000"]
    assert {path.name.split(".")[0] for path in prepared.layout.tokenized.iterdir()} == {"web-00000"}


@pytest.mark.slow
def test_source_priority(preparation: Make, tmp_path: Path) -> None:
    texts = [text for text in corpus(1, 40) if len(text) > 100]
    longer = write_jsonl(tmp_path / "b.jsonl", [text + "\nOne line more." for text in texts])
    sources = [
        {"name": "first", "uri": str(write_jsonl(tmp_path / "a.jsonl", texts))},
        {"name": "second", "uri": str(longer)},
    ]
    kept = {}
    for keep in ("longest", "source-priority"):
        prepared = preparation(keep, sources=sources, dedup={"keep": keep})
        for stage in ("clean", "dedup-pairs", "dedup-clusters"):
            for index in prepared.items(stage):
                prepared.call(stage, index)
        facts = json.loads((prepared.layout.dedup / "clusters" / "clusters.json").read_bytes())
        by_source = dict.fromkeys(("first", "second"), 0)
        for unit, reasons in facts["removedByUnit"].items():
            by_source[unit.split("-")[0]] += sum(reasons.values())
        kept[keep] = by_source
    assert kept["longest"]["first"] > 10 * (1 + kept["source-priority"]["first"]) / 2
    assert kept["source-priority"]["second"] > kept["longest"]["second"]


def test_documents_for_a_test_are_held_back(preparation: Make, tmp_path: Path) -> None:
    sources = [{"name": "web", "uri": str(write_jsonl(tmp_path / "a.jsonl", corpus(1, 80)))}]
    first = preparation("first", sources=sources, split={"validation": 0.2})
    first.call_all()
    second = preparation("second", sources=sources, split={"validation": 0.2, "test": 0.3})
    second.call_all()
    before, after = (json.loads(each.layout.blend.read_bytes())["sources"][0] for each in (first, second))
    assert after["validationTokens"] == before["validationTokens"]
    assert after["trainTokens"] + after["testTokens"] == before["trainTokens"]
    assert 10 <= after["testDocuments"] <= 40
    for pair in after["pairs"]:
        facts = read_facts(second.storage / pair["test"])
        assert (facts.sequences, facts.tokens) == (pair["testDocuments"], pair["testTokens"])
    second.data["split"]["test"] = 0.0
    second.call_all()
    assert not list(second.layout.tokenized.glob("*.test.*"))


def test_a_documented_mixture_weights_the_sources(preparation: Make, tmp_path: Path) -> None:
    sources = [
        {"name": name, "uri": str(write_jsonl(tmp_path / f"{name}.jsonl", corpus(seed, 30)))}
        for seed, name in enumerate(("web", "wikipedia"))
    ]
    mixture = {"preset": "gpt-3", "sources": {"commoncrawl": "web", "wikipedia": "wikipedia"}}
    prepared = preparation("mixed", sources=sources, mixture=mixture)
    prepared.call_all()
    blend = json.loads(prepared.layout.blend.read_bytes())
    assert blend["phases"] == [{"fromTokens": 0, "weights": {"web": 60 / 63, "wikipedia": 3 / 63}}]
    assert [source["epochs"] for source in blend["sources"]] == [0.44, 3.4]
