"""Clusters by topic, through the stages: caps hold exactly, whatever the shards, workers and order of the files."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from pretrain_dataprep import clean_documents
from pretrain_dataprep.errors import InputError
from pretrain_dataprep.standalone.command import run as run_command

from .conftest import Preparation, kept_texts, write_jsonl
from .dedup.test_semantic import write_model
from .topics.planted import TOPICS, planted_topics

Make = Callable[..., Preparation]
STAGES = ("filter-models", "clean", "dedup-pairs", "dedup-clusters")
A_TOPIC = {"mail": 60, "tests": 40, "processes": 30, "numbers": 20, "calendar": 10}


@pytest.fixture(scope="module")
def texts() -> dict[str, list[str]]:
    """Documents by topic, some more than others."""
    return {topic: some[: A_TOPIC[topic]] for topic, some in planted_topics(11, 60, sentences=16).items()}


@pytest.fixture
def corpus(texts: dict[str, list[str]], tmp_path: Path) -> str:
    """Four files of all topics; each document of mail is there twice."""
    everything = [text for some in texts.values() for text in some] + texts["mail"]
    random.Random(3).shuffle(everything)
    for part in range(4):
        write_jsonl(tmp_path / "corpus" / f"{part}.jsonl", everything[part::4])
    return str(tmp_path / "corpus")


def options(**caps: Any) -> dict[str, Any]:
    return {"preset": "none", "clusters": {"count": len(TOPICS), **caps}}


def run(prepared: Preparation) -> None:
    for stage in STAGES:
        for index in prepared.items(stage):
            prepared.call(stage, index)


def facts(prepared: Preparation) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((prepared.layout.dedup / "clusters" / "clusters.json").read_bytes())
    return found


def removed_by_reason(prepared: Preparation) -> Counter[str]:
    total: Counter[str] = Counter()
    for counts in facts(prepared)["removedByUnit"].values():
        total.update(counts)
    return +total


def test_the_cap_counts_what_deduplication_leaves(preparation: Make, corpus: str, texts: dict[str, list[str]]) -> None:
    sources = [{"name": "web", "uri": corpus}]
    prepared = preparation(sources=sources, clean=options(maxDocuments=25), dedup={"near": None})
    run(prepared)
    clusters = facts(prepared)["topicClusters"]
    assert sum(one["documents"] for one in clusters) == sum(A_TOPIC.values())
    assert [one["kept"] for one in clusters] == [min(one["documents"], 25) for one in clusters]
    surplus = sum(max(one["documents"] - 25, 0) for one in clusters)
    assert removed_by_reason(prepared) == {"exact-duplicate": 60, "cluster-cap": surplus}
    # Clusters are topics, so that the cap cuts the common ones.
    kept = kept_texts(prepared)
    assert [one["documents"] for one in clusters] == pytest.approx([60, 40, 30, 20, 10], abs=5)
    of_mail = {tuple(text.split()) for text in texts["mail"]}
    assert sum(tuple(text.split()) in of_mail for text in kept) == pytest.approx(25, abs=5)
    assert {"message", "header"} & set(clusters[0]["words"])


def test_shards_and_the_order_of_files_do_not_matter_and_the_seed_does(
    preparation: Make, corpus: str, tmp_path: Path
) -> None:
    renamed = tmp_path / "renamed"
    renamed.mkdir()
    for number, path in enumerate(sorted(Path(corpus).iterdir())):
        (renamed / f"{9 - number}-{path.name}").write_bytes(path.read_bytes())
    kept = []
    for shards, uri, seed in ((1, corpus, 1), (3, corpus, 1), (3, str(renamed), 1), (3, corpus, 2)):
        prepared = preparation(
            f"{len(kept)}",
            {"tokens": 1_000_000, "sequenceLength": 128, "microBatchSize": 1, "seed": seed, **TRAINING},
            sources=[{"name": "web", "uri": uri}],
            clean=options(maxShare=0.1),
            dedup={"near": None},
            shards=shards,
        )
        run(prepared)
        assert facts(prepared)["topicClusterCap"] == 16
        kept.append(kept_texts(prepared))
    assert kept[0] == kept[1]
    assert kept[1] == kept[2]
    assert kept[1] != kept[3]


TRAINING: dict[str, Any] = {
    "batch": {"stages": [{"tokens": 128, "from": 0}]},
    "learningRate": {"peak": 1e-3},
}


def test_another_cap_cleans_nothing_again(preparation: Make, corpus: str) -> None:
    sources = [{"name": "web", "uri": corpus}]
    prepared = preparation(sources=sources, clean=options(maxDocuments=30), dedup={"near": None})
    run(prepared)
    before, few = prepared.files(), kept_texts(prepared)
    prepared.data["clean"] = options(maxDocuments=40)
    run(prepared)
    after, more = prepared.files(), kept_texts(prepared)
    changed = {name for name in before if before[name] != after[name]}
    assert all(name.startswith("data/dedup/clusters/") for name in changed)
    # A greater cap only adds.
    assert len(few) < len(more)
    assert set(few) < set(more)
    prepared.data["clean"]["clusters"]["count"] = 4
    run(prepared)
    assert prepared.files()["data/clean/web-00000/MANIFEST.json"] != after["data/clean/web-00000/MANIFEST.json"]


@pytest.mark.slow
def test_the_same_bytes_from_killed_workers_and_what_the_report_says(preparation: Make, corpus: str) -> None:
    made = []
    for name in ("one process", "workers"):
        prepared = preparation(
            name,
            sources=[{"name": "web", "uri": corpus}],
            clean={**options(maxDocuments=30), "pii": {"redact": ["email"]}},
            keepRemoved=True,
        )
        if name == "workers":
            process = prepared.start("filter-models")
            process.kill()
            process.communicate()
            prepared.run_all(2, random.Random(1))
        else:
            prepared.call_all()
        made.append(prepared.files())
    assert made[0] == made[1]
    report = json.loads(made[0]["data/report.json"])
    assert report["topicClusterCap"] == 30
    assert sum(one["kept"] for one in report["topicClusters"]) == report["sources"][0]["documentsKept"]
    assert report["sources"][0]["files"] == 4
    (entry,) = [one for one in report["sources"][0]["removed"] if one["reason"] == "cluster-cap"]
    written = [
        record
        for path in prepared.layout.tokenized.glob("*.duplicates.parquet")
        for record in pq.read_table(path).to_pylist()
    ]
    surplus = [record for record in written if record["reason"] == "cluster-cap"]
    assert len(surplus) == entry["documents"] > 0
    assert all(record["survivorUnit"] is record["survivorRow"] is None for record in surplus)
    assert all(record["survivorUnit"] for record in written if record["reason"] == "exact-duplicate")
    assert len(entry["samples"]) == 3
    assert not any("(kept:" in sample for sample in entry["samples"])


def test_clusters_by_a_given_embedding_model(preparation: Make, tmp_path: Path) -> None:
    directions = {"river": [3, 0.1, 0], "boat": [3, -0.2, 0.1], "stone": [0, 3, 0.2], "wall": [0.1, 3, -0.1]}
    generator = random.Random(1)
    texts = [" ".join(generator.choices(["river", "boat"], k=9)) + f" {number}" for number in range(30)]
    texts += [" ".join(generator.choices(["stone", "wall"], k=9)) + f" {number}" for number in range(10)]
    path = write_jsonl(tmp_path / "a.jsonl", texts)
    model = write_model(tmp_path / "model", {"[UNK]": [0, 0, 0], **directions})
    for dedup in ({"near": None}, {"near": None, "semantic": {"model": model, "threshold": 0.9999}}):
        prepared = preparation(
            f"dedup-{len(dedup)}",
            sources=[{"name": "web", "uri": str(path)}],
            clean={"preset": "none", "clusters": {"count": 2, "maxDocuments": 5, "model": model}},
            dedup=dedup,
        )
        run(prepared)
        clusters = facts(prepared)["topicClusters"]
        assert [one["kept"] for one in clusters] == [min(one["documents"], 5) for one in clusters]
        if "semantic" not in dedup:
            assert [one["documents"] for one in clusters] == [30, 10]
    assert set(facts(prepared)["topicClusters"][0]["words"]) & {"river", "boat"}
    before = prepared.files()
    write_model(tmp_path / "model", {"[UNK]": [0, 0, 0], **directions, "more": [1, 1, 1]})
    run(prepared)
    changed = {name for name, content in prepared.files().items() if before[name] != content}
    assert {"data/filters/MANIFEST.json", "data/clean/web-00000/MANIFEST.json"} <= changed


def test_fewer_documents_than_clusters_are_said(preparation: Make, tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "a.jsonl", ["one two three", "four five six"])
    prepared = preparation(
        sources=[{"name": "web", "uri": str(path)}], clean={"preset": "none", "clusters": {"maxDocuments": 5}}
    )
    message = (
        r"spec\.data\.clean\.clusters\.count: the sample has only 2 documents that differ in their words, too few for "
        r"100 clusters; write less, or more for sampleBytes"
    )
    with pytest.raises(InputError, match=message):
        prepared.call("filter-models")


def test_the_library_caps_too(texts: dict[str, list[str]]) -> None:
    everything = [text for some in texts.values() for text in some]
    cleaned = clean_documents([*everything, "..."], options(maxDocuments=15), seed=3)
    removed = [index for index, reason in cleaned.removed.items() if reason == "cluster-cap"]
    assert sorted([*cleaned.indices, *removed]) == list(range(len(everything) + 1))
    assert [text.split() for text in cleaned.texts] == [
        [*everything, "..."][index].split() for index in cleaned.indices
    ]
    of_mail = [index for index in cleaned.indices if index < A_TOPIC["mail"]]
    assert len(of_mail) == pytest.approx(15, abs=5)
    # What has no words belongs to no cluster.
    assert cleaned.indices[-1] == len(everything)


def test_the_block_alone(corpus: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "out"
    sets = [f"clean.clusters.count={len(TOPICS)}", "clean.clusters.maxDocuments=10", "dedup.exact=document"]
    arguments = ["clean", corpus, "-o", str(output), "--preset", "none", "--keep-removed", "--output-format", "parquet"]
    run_command([*arguments, *(part for one in sets for part in ("--set", one))])
    written = [pq.read_table(path) for path in (output / "documents").iterdir()]
    assert sum(map(len, written)) == 10 * len(TOPICS)
    reasons = Counter(r for path in (output / "removed").iterdir() for r in pq.read_table(path)["reason"].to_pylist())
    assert reasons == {"exact-duplicate": 60, "cluster-cap": sum(A_TOPIC.values()) - 10 * len(TOPICS)}
