"""Filters with models through the stages: what goes, what is counted, what is done again."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from pretrain_dataprep.errors import InputError, MissingOutputError
from pretrain_dataprep.library import clean_documents

from .conftest import Preparation, article, kept_texts, write_jsonl

Make = Callable[..., Preparation]

GERMAN = """Der Fluss war an jenem Morgen so hoch, dass niemand über die Brücke gehen konnte. Die Leute
aus dem Dorf standen am Ufer und warteten, bis das Wasser wieder sank. Erst gegen Abend kam die Sonne heraus,
und alle gingen heim."""
ENGLISH = """The river was so high that morning that nobody could cross the bridge. The people of the village
stood on the bank and waited until the water went down again. Only towards evening did the sun come out,
and everybody went home."""
SPAM = "casino bonus winner click cheap pills viagra jackpot offer discount"


def clean(prepared: Preparation) -> dict[str, int]:
    """Run both stages; return the documents removed, by reason."""
    for stage in ("filter-models", "clean"):
        for index in prepared.items(stage):
            prepared.call(stage, index)
    removed: dict[str, int] = {}
    for path in prepared.layout.clean.glob("*/MANIFEST.json"):
        for reason, count in json.loads(path.read_bytes())["removed"].items():
            removed[reason] = removed.get(reason, 0) + count
    return removed


def statistics(prepared: Preparation) -> list[dict[str, Any]]:
    return [json.loads(path.read_bytes()) for path in sorted(prepared.layout.clean.glob("*/statistics.json"))]


def test_language(preparation: Make, tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "a.jsonl", [GERMAN, ENGLISH, ENGLISH + " So it was.", GERMAN + " So war es."])
    prepared = preparation(
        sources=[{"name": "web", "uri": str(path)}], shards=1, clean={"language": {"allow": ["de"], "minScore": 0.6}}
    )
    assert clean(prepared) == {"language": 2}
    (found,) = statistics(prepared)
    assert found["languages"] == {"de": 2, "en": 2}
    german = len(GERMAN.encode()) + len((GERMAN + " So war es.").encode())
    assert found["languageBytes"] == {"de": german, "en": 2 * len(ENGLISH) + len(" So it was.")}
    # The built-in model needs no stage.
    assert not prepared.layout.filters.exists()


@pytest.fixture
def corpora(tmp_path: Path) -> dict[str, str]:
    """Good text, spam, and a mixture of both."""
    generator = random.Random(5)
    good = [article(generator, 20) for _ in range(60)]
    spam = [
        "\n".join(" ".join(generator.choices([*SPAM.split(), "the", "and", "of"], k=9)) + "." for _ in range(20))
        for _ in range(60)
    ]
    return {
        "good": str(write_jsonl(tmp_path / "good.jsonl", good[:30])),
        "spam": str(write_jsonl(tmp_path / "spam.jsonl", spam[:30])),
        "mixed": str(write_jsonl(tmp_path / "mixed.jsonl", good[30:] + spam[30:])),
    }


def test_quality(preparation: Make, corpora: dict[str, str]) -> None:
    quality = {"train": {"positive": [corpora["good"]], "negative": [corpora["spam"]]}}
    prepared = preparation(
        sources=[{"name": "web", "uri": corpora["mixed"]}], clean={"preset": "none", "quality": quality}
    )
    assert clean(prepared) == {"low-quality": 30}
    first = prepared.files()
    assert clean(prepared) == {"low-quality": 30}
    assert prepared.files() == first
    again = preparation("again", sources=[{"name": "web", "uri": corpora["mixed"]}], clean=prepared.data["clean"])
    clean(again)
    assert again.files() == first


def test_changed_examples_change_the_model_and_what_it_filtered(preparation: Make, corpora: dict[str, str]) -> None:
    quality = {"train": {"positive": [corpora["good"]], "negative": [corpora["spam"]]}}
    prepared = preparation(
        sources=[{"name": "web", "uri": corpora["mixed"]}], shards=1, clean={"preset": "none", "quality": quality}
    )
    clean(prepared)
    before = prepared.files()
    good = Path(corpora["good"])
    good.write_text(good.read_text() + json.dumps({"text": GERMAN}) + "\n")
    clean(prepared)
    after = prepared.files()
    assert before["data/filters/quality.npy"] != after["data/filters/quality.npy"]
    assert before["data/clean/web-00000/MANIFEST.json"] != after["data/clean/web-00000/MANIFEST.json"]
    (prepared.layout.filters / "quality.npy").unlink()
    with pytest.raises(MissingOutputError, match=r"quality\.npy is missing; the stage filter-models"):
        prepared.call("clean")


@pytest.mark.parametrize(
    ("thresholds", "removed"),
    [
        ({"max": 200}, {"high-perplexity": 30}),
        ({"maxPercentile": 50}, {"high-perplexity": 30}),
        ({"min": 200}, {"low-perplexity": 30}),
    ],
)
def test_perplexity(
    preparation: Make, corpora: dict[str, str], thresholds: dict[str, float], removed: dict[str, int]
) -> None:
    prepared = preparation(
        sources=[{"name": "web", "uri": corpora["mixed"]}],
        clean={"preset": "none", "perplexity": {"train": {"on": [corpora["good"]]}, **thresholds}},
    )
    assert clean(prepared) == removed


def test_the_percentile_does_not_depend_on_the_shards(preparation: Make, corpora: dict[str, str]) -> None:
    models = []
    for shards in (1, 3):
        prepared = preparation(
            f"shards-{shards}",
            sources=[{"name": "web", "uri": corpora["mixed"]}, {"name": "good", "uri": corpora["good"]}],
            shards=shards,
            clean={"perplexity": {"train": {"on": [corpora["good"]], "order": 2}, "maxPercentile": 60}},
        )
        prepared.call("filter-models")
        models.append({name: data for name, data in prepared.files().items() if name.startswith("data/filters/")})
    assert models[0] == models[1]
    assert json.loads(models[0]["data/filters/thresholds.json"])["maxPerplexity"] > 1


def test_given_arpa_and_empty_training_text(preparation: Make, corpora: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "a.arpa").write_text("\\data\\\n\\1-grams:\n-1\t<unk>\n-0.1\tthe\n-0.5\tand\n-0.5\t</s>\n\\end\\\n")
    sources = [{"name": "web", "uri": corpora["mixed"]}]
    prepared = preparation(sources=sources, clean={"perplexity": {"uri": str(tmp_path / "a.arpa"), "max": 1.5}})
    assert clean(prepared)["high-perplexity"] > 0
    (tmp_path / "empty.txt").write_text("...\n")
    prepared.data["clean"] = {"perplexity": {"train": {"on": [str(tmp_path / "empty.txt")]}, "max": 10}}
    with pytest.raises(InputError, match="there is no word to train an n-gram model on"):
        prepared.call("filter-models")


def test_toxic_words_are_dropped_or_tagged(preparation: Make, corpora: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("viagra\ncheap pills\n")
    toxicity: dict[str, Any] = {"words": [str(tmp_path / "words.txt")]}
    sources = [{"name": "web", "uri": corpora["mixed"]}]
    prepared = preparation(sources=sources, shards=1, clean={"preset": "none", "toxicity": toxicity})
    assert clean(prepared) == {"toxic": 30}
    tagging = preparation(
        "tag", sources=sources, shards=1, clean={"preset": "none", "toxicity": {**toxicity, "action": "tag"}}
    )
    assert clean(tagging) == {}
    assert statistics(tagging)[0]["tagged"] == {"toxic": 30}
    tags = pq.read_table(tagging.layout.clean / "web-00000" / "documents.parquet").column("tags").to_pylist()
    assert (tags.count([]), tags.count(["toxic"])) == (30, 30)


def test_toxicity_by_a_classifier(preparation: Make, corpora: dict[str, str]) -> None:
    train = {"positive": [corpora["spam"]], "negative": [corpora["good"]], "sampleBytes": 20_000}
    prepared = preparation(
        sources=[{"name": "web", "uri": corpora["mixed"]}],
        clean={"preset": "none", "toxicity": {"classifier": {"train": train}}},
    )
    assert clean(prepared) == {"toxic": 30}


def test_the_library_makes_models_too(corpora: dict[str, str]) -> None:
    texts = [json.loads(line)["text"] for line in Path(corpora["mixed"]).read_text().splitlines()]
    quality = {"train": {"positive": [corpora["good"]], "negative": [corpora["spam"]]}}
    perplexity = {"train": {"on": [corpora["good"]]}, "maxPercentile": 40}
    cleaned = clean_documents(texts, {"preset": "none", "quality": quality})
    assert cleaned.indices == list(range(30))
    kept = clean_documents(texts, {"preset": "none", "perplexity": perplexity}).indices
    assert len(kept) == 24
    assert set(kept) < set(range(30))


def test_the_best_of_a_cluster_stays(preparation: Make, corpora: dict[str, str], tmp_path: Path) -> None:
    """Each document is there again, longer by a line of spam."""
    good = [json.loads(line)["text"] for line in Path(corpora["mixed"]).read_text().splitlines()][:30]
    path = write_jsonl(tmp_path / "pairs.jsonl", [text for one in good for text in (one, f"{one}\n{SPAM} {SPAM}")])
    train = {"positive": [corpora["good"]], "negative": [corpora["spam"]]}
    kept = {}
    for keep in ("quality", "longest"):
        for shards in (1, 3):
            prepared = preparation(
                f"{keep}-{shards}",
                sources=[{"name": "web", "uri": str(path)}],
                clean={"preset": "none", "quality": {"train": train, "minScore": 0.0}},
                dedup={"near": {"threshold": 0.5, "verify": True}, "keep": keep},
                shards=shards,
            )
            for stage in ("filter-models", "clean", "dedup-pairs", "dedup-clusters"):
                for index in prepared.items(stage):
                    prepared.call(stage, index)
            kept[keep, shards] = kept_texts(prepared)
    assert kept["quality", 1] == kept["quality", 3] == sorted(good)
    assert kept["longest", 1] == kept["longest", 3] == sorted(f"{one}\n{SPAM} {SPAM}" for one in good)
