"""Augmentation in jobs: made of what is to train on, tagged, within its share, the same bytes every time."""

from __future__ import annotations

import copy
import json
import os
import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from tests.dataprep.conftest import WORDS, Preparation, article, corpus, write_jsonl

from pretrain_api.spec.data import Data
from pretrain_api.wire import Blend, BlendPhase, BlendSource, DataReport
from pretrain_dataprep.blending import blend_phases, without_small_parts
from pretrain_dataprep.context import StageContext
from pretrain_dataprep.errors import ConfigurationError, InputError, TemporaryError
from pretrain_dataprep.megatron import read_facts
from pretrain_dataprep.surviving import content_hashes_by_row, kept_mask, part_by_row

Make = Callable[..., Preparation]
ENTRIES = [
    {"source": "web", "method": "sentence-shuffle", "share": 0.1},
    {"source": "web", "method": "synonyms", "share": 0.2, "rate": 0.3},
    {"source": "books", "method": "concatenate", "share": 0.3},
    {"source": "web", "method": "code-mix", "partner": "books", "share": 0.3},
    {"source": "books", "method": "rewrite", "share": 0.25, "command": "sed s/the/THE/g"},
]
DEFAULTS = {"shards": 2, "tokenizer": {"train": {"vocabSize": 600}}}
NAMES = ["web+sentence-shuffle", "web+synonyms", "books+concatenate", "web+code-mix+books", "books+rewrite"]


def paragraphs(seed: int, documents: int = 150) -> list[str]:
    """Documents whose lines have several sentences; some duplicates and some that are too short."""
    return [text.replace(".\n", ". ", 5) for text in corpus(seed, documents)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sources and a dictionary."""
    root = tmp_path_factory.mktemp("corpus")
    write_jsonl(root / "web.jsonl", paragraphs(1))
    write_jsonl(root / "web-2.jsonl", paragraphs(2))
    (root / "books").mkdir()
    for number in range(60):
        (root / "books" / f"{number:02}.txt").write_text(article(random.Random(100 + number), 14))
    (root / "synonyms.tsv").write_text("".join(f"{word}\t{word}like\tun{word}\n" for word in WORDS[:30]))
    return root


def options(folder: Path, entries: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """Return the part of a job about its sources and what is made of them."""
    entries = [dict(each) for each in (ENTRIES if entries is None else entries)]
    for each in entries:
        if each["method"] == "synonyms":
            each["dictionary"] = str(folder / "synonyms.tsv")
    sources = [
        {"name": "web", "uri": f"{folder}/*.jsonl", "weight": 0.8},
        {"name": "books", "uri": f"{folder}/books", "weight": 0.2},
    ]
    return {"sources": sources, "augment": entries, "split": {"validation": 0.2, "test": 0.1}}


@pytest.fixture(scope="module")
def whole(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Preparation:
    """A finished preparation with every method."""
    job = Preparation(tmp_path_factory.mktemp("whole"), {**DEFAULTS, **options(folder)})
    job.call_all()
    return job


@pytest.fixture
def prepared(whole: Preparation, tmp_path: Path) -> Preparation:
    """A copy of it, to be changed."""
    shutil.copytree(whole.root, tmp_path / "prepared")
    return Preparation(tmp_path / "prepared", copy.deepcopy(whole.data))


def new_documents(job: Preparation, name: str) -> list[dict[str, Any]]:
    paths = sorted(job.layout.tokenized.glob(f"{name}-*.augmented.parquet"))
    assert len(paths) == job.shards
    return [row for path in paths for row in pq.read_table(path).to_pylist()]


def report_of(job: Preparation) -> DataReport:
    return DataReport.model_validate_json(job.layout.data_report.read_bytes())


def blend_of(job: Preparation) -> Blend:
    return Blend.model_validate_json(job.layout.blend.read_bytes())


def context_of(job: Preparation) -> StageContext:
    return StageContext.of(job.job, job.storage)


def origin_texts(job: Preparation, row: dict[str, Any]) -> list[str]:
    tables = [pq.read_table(job.layout.clean / unit / "documents.parquet") for unit in row["units"]]
    return [table["text"][place].as_py() for table, place in zip(tables, row["rows"], strict=True)]


def test_each_method_makes_its_documents_within_its_share(whole: Preparation) -> None:
    report = report_of(whole)
    assert [part.name for part in report.augmented] == NAMES
    for entry, part in zip(ENTRIES, report.augmented, strict=True):
        rows = new_documents(whole, part.name)
        assert {row["augmented"] for row in rows} == {entry["method"]}
        assert part.documents == len(rows)
        assert part.bytes == sum(len(row["text"].encode()) for row in rows)
        assert 0.5 * part.share * part.source_bytes < part.bytes <= part.share * part.source_bytes
        assert len(part.samples) == 3
        facts = [read_facts(whole.layout.tokenized / f"{part.name}-{shard:05}.train") for shard in range(2)]
        assert sum(each.sequences for each in facts) == part.documents
        assert sum(each.tokens for each in facts) == part.train_tokens
    by_method = {row["augmented"]: row for name in NAMES for row in new_documents(whole, name)}
    first, second = origin_texts(whole, by_method["concatenate"])
    assert by_method["concatenate"]["text"] == f"{first}\n\n{second}"
    assert by_method["rewrite"]["text"] == origin_texts(whole, by_method["rewrite"])[0].replace("the", "THE")
    shuffled = by_method["sentence-shuffle"]
    assert sorted(shuffled["text"]) == sorted(origin_texts(whole, shuffled)[0]) != shuffled["text"]
    assert by_method["code-mix"]["units"][0].startswith("web-")
    assert by_method["code-mix"]["units"][1].startswith("books-")


def test_nothing_is_made_of_what_went_or_is_held_back(whole: Preparation) -> None:
    """Looked at by the documents' places, and again by their texts: no duplicate of what is held back is taken."""
    from pretrain_dataprep.cleaned import load_corpus

    context = context_of(whole)
    units = {unit.name: unit for unit in load_corpus(context).units}
    kept = {name: kept_mask(context, unit) for name, unit in units.items()}
    parts = {name: part_by_row(context, unit) for name, unit in units.items()}
    held_back = {
        tuple(hashes)
        for name, unit in units.items()
        for hashes in content_hashes_by_row(unit)[parts[name] > 0].tolist()
    }
    assert len(held_back) > 50
    places = [
        (unit, row)
        for name in NAMES
        for document in new_documents(whole, name)
        for unit, row in zip(document["units"], document["rows"], strict=True)
    ]
    assert len(places) > 80
    for unit, row in places:
        assert kept[unit][row]
        assert parts[unit][row] == 0
        assert tuple(content_hashes_by_row(units[unit])[row].tolist()) not in held_back


def test_new_documents_are_counted_by_themselves(prepared: Preparation, folder: Path, preparation: Make) -> None:
    plain = preparation("plain", **options(folder, []))
    plain.call_all()
    assert not plain.layout.augmentation.exists()
    report, blend = report_of(prepared), blend_of(prepared)
    assert report.sources == report_of(plain).sources
    own, new = blend.sources[:2], blend.sources[2:]
    assert own == blend_of(plain).sources
    assert [(part.name, part.origin) for part in new] == [(name, name.split("+")[0]) for name in NAMES]
    assert all(part.validation_tokens == part.test_tokens == 0 for part in new)
    weights = blend.phases[0].weights
    for source, weight in (("web", 0.8), ("books", 0.2)):
        parts = {part.name: part.train_tokens for part in blend.sources if source in (part.name, part.origin)}
        assert sum(weights[name] for name in parts) == pytest.approx(weight)
        for name, tokens in parts.items():
            assert weights[name] == pytest.approx(weight * tokens / sum(parts.values()))
    counts = prepared.call("blend")
    assert counts["documentsOut"] == sum(source.documents for source in own)
    assert counts["augmentedDocuments"] == sum(part.documents for part in new) > 0
    assert counts["augmentedTokens"] == sum(part.train_tokens for part in new)
    assert counts["trainTokens"] == sum(source.train_tokens for source in blend.sources)
    # What isn't new has the same bytes with and without augmentation.
    before, after = plain.files(), prepared.files()
    tokens = [name for name in before if name.startswith("data/tokenized/")]
    assert tokens
    assert all(before[name] == after[name] for name in tokens)


def test_the_order_of_work_does_not_matter(prepared: Preparation, folder: Path, preparation: Make) -> None:
    other = preparation("other", **options(folder))
    for stage in ("clean", "dedup-pairs", "dedup-clusters", "tokenizer", "augment-plan", "tokenize", "blend"):
        for index in reversed(other.items(stage)):
            other.call(stage, index)
    assert other.files() == prepared.files()


@pytest.mark.slow
def test_other_shards_take_the_same_documents(whole: Preparation, folder: Path, preparation: Make) -> None:
    """Only partners are others, and which of those that came out longer found no room."""
    other = preparation("other", **options(folder), shards=5)
    other.call_all()
    for ours, theirs in zip(report_of(whole).augmented, report_of(other).augmented, strict=True):
        assert (ours.source_bytes, ours.documents_taken) == (theirs.source_bytes, theirs.documents_taken)
        assert theirs.bytes <= theirs.share * theirs.source_bytes
        texts, other_texts = ({row["text"] for row in new_documents(job, ours.name)} for job in (whole, other))
        if ours.partner is None and ours.method != "concatenate":
            assert len(texts - other_texts) <= theirs.too_long
            assert len(other_texts - texts) <= ours.too_long
            assert ours.too_long == 0 or ours.method == "synonyms"


@pytest.mark.slow
def test_worker_processes_killed_and_not(prepared: Preparation, folder: Path, preparation: Make) -> None:
    other = preparation("other", **options(folder))
    for stage in ("clean", "dedup-pairs", "dedup-clusters", "tokenizer"):
        for index in other.items(stage):
            other.call(stage, index)
    generator = random.Random(7)
    for stage in ("augment-plan", "tokenize"):
        for index in other.items(stage):
            process = other.start(stage, index)
            process.stderr.readline() if process.stderr else None
            process.kill()
            process.communicate()
        assert [outcome.code for outcome in other.run_stage(stage, 2, generator)] == [0] * len(other.items(stage))
    assert other.run("blend").code == 0
    assert other.files() == prepared.files()


def test_only_what_changed_is_made_again(
    prepared: Preparation, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    def log_of(*stages: str) -> str:
        capfd.readouterr()
        for stage in stages:
            for index in prepared.items(stage):
                prepared.call(stage, index)
        return capfd.readouterr().err

    log = log_of("augment-plan", "tokenize")
    assert log.count("done already, and nothing it depends on has changed") == 1 + 2 * 7
    prepared.data["augment"][0]["share"] = 0.2
    log_of("augment-plan")
    with pytest.raises(
        TemporaryError, match=r"unit web\+sentence-shuffle-00000 isn't tokenized: input data/augmentation"
    ):
        prepared.call("blend")
    log = log_of("tokenize")
    assert "web+sentence-shuffle-00000: input data/augmentation/web+sentence-shuffle.buckets.npy changed" in log
    assert log.count("done already") == 2 * 6
    synonyms = (folder / "synonyms.tsv").read_text()
    (folder / "synonyms.tsv").write_text("river\tstream\nthe\ta\n")
    try:
        log = log_of("augment-plan", "tokenize")
    finally:
        (folder / "synonyms.tsv").write_text(synonyms)
    assert f"input {folder}/synonyms.tsv changed" in log
    assert "web+synonyms-00001: input data/augmentation/web+synonyms.dictionary.json changed" in log
    assert log.count("done already") == 2 * 6
    log_of("augment-plan", "tokenize")
    prepared.data["augment"][4]["command"] = "sed s/and/AND/g"
    log = log_of("augment-plan", "tokenize")
    assert "augment-plan" not in log
    assert "books+rewrite-00000: an option it depends on changed" in log
    script = prepared.root / "rewrite.sed"
    script.write_text("s/of/OF/g")
    prepared.data["augment"][4]["command"] = f"sed -f {script}"
    log_of("tokenize")
    script.write_text("s/to/TO/g")
    log = log_of("tokenize")
    assert f"books+rewrite-00000: input {script} changed" in log
    assert log.count("done already") == 2 * 6
    prepared.data["augment"] = prepared.data["augment"][:1]
    log_of("augment-plan", "tokenize", "blend")
    left = {path.name.split("-0")[0] for path in prepared.layout.tokenized.iterdir()}
    assert left == {"web", "books", "web+sentence-shuffle"}
    prepared.data["augment"] = []
    log_of("augment-plan", "tokenize", "blend")
    assert not prepared.layout.augmentation.exists()
    assert not list(prepared.layout.tokenized.glob("*+*"))


def test_what_is_missing_is_said_before_the_work_begins(preparation: Make, folder: Path) -> None:
    job = preparation(**options(folder))
    job.data["augment"][1]["dictionary"] = str(folder / "missing.tsv")
    with pytest.raises(InputError, match=r"augment\[1\]\.dictionary: .*missing\.tsv: no such file.*; write where"):
        job.call("clean")
    job = preparation(**options(folder))
    job.data["augment"][4]["command"] = "translate --there-and-back"
    with pytest.raises(ConfigurationError, match=r"spec\.data\.augment\[4\]\.command: translate: no such program here"):
        job.call("clean")


def test_a_program_that_loses_texts_is_refused(prepared: Preparation) -> None:
    prepared.data["augment"][4]["command"] = "head -1"
    with pytest.raises(InputError, match=r"augment\[4\]\.command: head -1: 1 texts came back for \d+; what rewrites"):
        prepared.call("tokenize")
    assert not (prepared.layout.tokenized / "books+rewrite-00000.MANIFEST.json").exists()


@pytest.mark.slow
def test_a_worker_that_is_stopped_ends_its_program(prepared: Preparation) -> None:
    note = prepared.root / "pid"
    prepared.data["augment"][4]["command"] = f"sh -c 'echo $$ > {note}; exec sleep 1000'"
    worker = prepared.start("tokenize")
    assert worker.stderr is not None
    assert any("books+rewrite-00000" in line for line in worker.stderr)
    while not (note.exists() and note.read_text().strip()):
        assert worker.poll() is None
        time.sleep(0.01)
    worker.terminate()
    worker.communicate(timeout=60)
    assert worker.returncode == 143
    with pytest.raises(ProcessLookupError):
        os.kill(int(note.read_text()), 0)


def test_longer_texts_stay_within_the_share(preparation: Make, folder: Path) -> None:
    entries = [{"source": "web", "method": "rewrite", "share": 0.3, "command": "sed s/river/riverriverriver/g"}]
    job = preparation(**options(folder, entries))
    job.call_all()
    (part,) = report_of(job).augmented
    assert part.too_long > 0
    assert 0.2 < part.bytes / part.source_bytes <= 0.3
    assert part.documents == part.documents_taken - part.unused - part.too_long


def test_repeated_passages_are_in_no_new_document(preparation: Make, tmp_path: Path) -> None:
    footer = "All of this text may be copied freely by anybody who would like to have it at home."
    texts = [f"{text} {footer}" if len(text) > 300 else text for text in paragraphs(1)]
    texts = [text.replace(footer, f"\n{footer}") for text in texts]
    sources = [{"name": "web", "uri": str(write_jsonl(tmp_path / "web.jsonl", texts))}]
    entries = [{"source": "web", "method": "concatenate", "share": 0.5}]
    job = preparation(sources=sources, augment=entries, dedup={"near": None, "passages": {"unit": "line"}})
    job.call_all()
    assert sum(row["text"].count(footer) for row in new_documents(job, "web+concatenate")) <= 1
    (part,) = report_of(job).augmented
    assert part.bytes <= 0.5 * part.source_bytes
    blended = blend_of(job).sources[0]
    assert blended.train_documents > part.documents_taken > 20


def test_prepared_data_and_a_curriculum_of_another_job(prepared: Preparation, tmp_path: Path) -> None:
    training = {
        "tokens": 40_960,
        "sequenceLength": 128,
        "microBatchSize": 4,
        "batch": {"stages": [{"tokens": 512, "from": 0}]},
        "learningRate": {"peak": 1e-3},
    }
    curriculum = [{"from": 0, "weights": {"web": 1.0}}, {"from": 20_480, "weights": {"web": 1, "books": 3}}]
    root = tmp_path / "user"
    root.mkdir()
    job = Preparation(root, {"prepared": str(prepared.storage)}, training)
    job.call("blend")
    assert blend_of(job).phases == blend_of(prepared).phases
    report = report_of(job)
    assert [part.name for part in report.augmented] == NAMES
    assert all(part.planned_epochs for part in report.augmented)
    web = [source for source in report.sources if source.name == "web"]
    assert report.augmented[0].planned_epochs == pytest.approx(web[0].planned_epochs, abs=0.001)
    job.data["curriculum"] = curriculum
    job.call("blend")
    first, second = (phase.weights for phase in blend_of(job).phases)
    assert sum(first.values()) == pytest.approx(sum(second.values())) == pytest.approx(1.0)
    assert first.get("books+rewrite", 0.0) == 0.0
    assert second["books"] + second["books+rewrite"] + second["books+concatenate"] == pytest.approx(0.75)
    assert second["web+synonyms"] == pytest.approx(first["web+synonyms"] / 4)


def part(name: str, tokens: int, origin: str | None = None, epochs: float | None = None) -> BlendSource:
    return BlendSource(name=name, origin=origin, epochs=epochs, train_tokens=tokens, train_documents=1, pairs=[])


def test_without_weights_new_text_counts_by_its_tokens() -> None:
    sources = [part("web", 600, epochs=2.0), part("books", 300), part("web+synonyms", 50, "web", 2.0)]
    data = Data.model_validate({"sources": [{"name": "web", "uri": "a"}, {"name": "books", "uri": "b"}]})
    weights = blend_phases(data, sources)[0].weights
    assert weights == pytest.approx({"web": 0.75, "books": 0.1875, "web+synonyms": 0.0625})


def test_new_text_too_little_to_read_gives_its_weight_back() -> None:
    sources = [part("web", 10_000), part("web+synonyms", 256, "web"), part("web+concatenate", 257, "web")]
    phases = [BlendPhase(from_tokens=0, weights={"web": 0.5, "web+synonyms": 0.25, "web+concatenate": 0.25})]
    assert without_small_parts(sources, phases, 128)[0].weights == {"web": 0.75, "web+concatenate": 0.25}
    assert without_small_parts(sources, phases, None) == phases
    assert without_small_parts(sources, phases, 5000)[0].weights == {"web": 1.0}


def test_an_empty_share_says_so(preparation: Make, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    job = preparation(**options(folder, [{"source": "web", "method": "concatenate", "share": 0.0001}]))
    job.call_all()
    log = capfd.readouterr().err
    assert "web+concatenate: nothing is made: no document fits into 0.0001 of" in log
    assert report_of(job).augmented[0].documents == 0
    assert np.isclose(sum(blend_of(job).phases[0].weights.values()), 1.0)
    assert json.loads(job.layout.ledger.read_text().splitlines()[-1])["augmentedDocuments"] == 0
