"""Near-duplicates through the stages: verified, by SimHash, by meaning, within sources."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pretrain_dataprep.dedup.layout import rows_name, survivors_name

from .conftest import WORDS, Preparation, article, corpus, kept_texts, write_jsonl
from .dedup.planted import SIMILARITIES, planted_pair, true_similarities
from .dedup.test_semantic import write_model

Make = Callable[..., Preparation]


def run_dedup(prepared: Preparation) -> None:
    for stage in ("clean", "dedup-pairs", "dedup-clusters"):
        for index in prepared.items(stage):
            prepared.call(stage, index)


@pytest.mark.slow
def test_verified_duplicates_are_right(preparation: Make, tmp_path: Path) -> None:
    """Through the stages: of what verification removes at least 99 % is really that similar to what stayed for it."""
    generator = np.random.default_rng(5)
    texts = [planted_pair(generator, similarity) for similarity in np.repeat(SIMILARITIES, 60)]
    truth = true_similarities(texts)
    path = write_jsonl(tmp_path / "planted.jsonl", [text for pair in texts for text in pair])
    found = {}
    for verify in (False, True):
        prepared = preparation(
            f"verify-{verify}",
            sources=[{"name": "planted", "uri": str(path)}],
            clean={"preset": "none"},
            dedup={"near": {"verify": verify}},
            shards=1,
        )
        run_dedup(prepared)
        folder = prepared.layout.dedup / "clusters"
        rows, survivors = (
            np.load(folder / rows_name("planted-00000")),
            np.load(folder / survivors_name("planted-00000")),
        )
        assert (rows // 2 == survivors["row"] // 2).all()
        found[verify] = rows // 2
    assert set(found[True]) < set(found[False])
    assert (truth[found[True]] >= 0.8).mean() >= 0.99
    # Nothing that the bands find and that is similar enough gets lost.
    assert {pair for pair in found[False] if truth[pair] >= 0.8} == set(found[True])


def test_simhash(preparation: Make, tmp_path: Path) -> None:
    generator = random.Random(3)
    texts = [article(generator, 80) for _ in range(20)]
    texts += [text.replace("river", "rivers", 1) for text in texts[:5]]
    path = write_jsonl(tmp_path / "a.jsonl", texts)
    prepared = preparation(
        sources=[{"name": "web", "uri": str(path)}], clean={"preset": "none"}, dedup={"near": {"method": "simhash"}}
    )
    run_dedup(prepared)
    sketches = np.load(prepared.layout.clean / "web-00000" / "signatures.npy")
    distances = [(int(sketches[20 + n]) ^ int(sketches[n])).bit_count() for n in range(5)]
    rows = np.load(prepared.layout.dedup / "clusters" / "web-00000.rows.npy")
    assert len(rows) == sum(distance <= 3 for distance in distances) >= 3


def test_within_sources(preparation: Make, tmp_path: Path) -> None:
    texts = [text for text in corpus(1, 20) if len(text) > 100]
    sources = [
        {"name": name, "uri": str(write_jsonl(tmp_path / f"{name}.jsonl", texts))} for name in ("first", "second")
    ]
    removed = {}
    for scope in ("across", "within"):
        prepared = preparation(scope, sources=sources, dedup={"scope": scope, "keep": "source-priority"})
        run_dedup(prepared)
        folder = prepared.layout.dedup / "clusters"
        removed[scope] = [len(np.load(folder / rows_name(f"{name}-00000"))) for name in ("first", "second")]
    first, second = removed["across"]
    assert second == len(texts)
    assert removed["within"] == [first, first]


@pytest.mark.slow
def test_same_meaning_in_other_words(preparation: Make, tmp_path: Path) -> None:
    """A synonym for every word: no 5-gram is shared, but all meaning is."""
    generator = random.Random(11)
    texts = [article(generator, 15) for _ in range(30)]
    in_other_words = [re.sub(r"[A-Za-z]+", lambda match: f"{match[0].lower()}ish", text) for text in texts[:8]]
    path = write_jsonl(tmp_path / "a.jsonl", texts + in_other_words)
    vectors = np.random.default_rng(1).normal(size=(len(WORDS), 64))
    known = {"?": [0.0] * 64}
    for word, vector in zip(WORDS, vectors, strict=True):
        for form in (word, word.capitalize(), f"{word}ish"):
            known[form] = vector.tolist()
    options = {"near": None, "semantic": {"model": write_model(tmp_path / "model", known), "threshold": 0.98}}
    removed = []
    for shards in (1, 3):
        prepared = preparation(
            f"shards-{shards}", sources=[{"name": "web", "uri": str(path)}], shards=shards, dedup=options
        )
        prepared.call_all()
        report = json.loads(prepared.layout.data_report.read_bytes())
        (entry,) = report["sources"][0]["removed"]
        assert entry["reason"] == "semantic-duplicate"
        removed.append(entry["documents"])
    assert removed == [8, 8]


@pytest.mark.slow
@pytest.mark.parametrize(
    "near",
    [
        {"verify": True, "threshold": 0.5, "scheme": "legacy", "seed": 7},
        {"unit": "character", "ngram": 10, "verify": True, "threshold": 0.5},
        {"method": "simhash", "maxDistance": 5},
    ],
    ids=["words", "characters", "simhash"],
)
def test_shards_do_not_matter(preparation: Make, tmp_path: Path, near: dict[str, object]) -> None:
    generator = np.random.default_rng(9)
    texts = [text for similarity in (0.5, 0.6, 0.9) for _ in range(12) for text in planted_pair(generator, similarity)]
    texts += [f"{texts[0]} {texts[7]}", texts[3], texts[3]]
    for part in range(4):
        write_jsonl(tmp_path / "corpus" / f"{part}.jsonl", texts[part::4])
    sources = [{"name": "web", "uri": str(tmp_path / "corpus")}]
    kept = []
    for shards in (1, 4):
        prepared = preparation(
            f"{shards}", sources=sources, shards=shards, clean={"preset": "none"}, dedup={"near": near}
        )
        run_dedup(prepared)
        kept.append(kept_texts(prepared))
    assert kept[0] == kept[1]
    assert 36 <= len(kept[0]) < len(texts) - 2
