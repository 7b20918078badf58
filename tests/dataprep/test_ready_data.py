"""Data that is ready: what another job prepared, and pairs that others tokenized."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pretrain_api.wire import Blend, DataReport
from pretrain_dataprep.errors import ConfigurationError, InputError
from pretrain_dataprep.megatron import read_facts, write_pair

from .conftest import Preparation, corpus, write_jsonl

Make = Callable[..., Preparation]
TRAINING: dict[str, Any] = {
    "tokens": 4096,
    "sequenceLength": 32,
    "batch": {"stages": [{"tokens": 512, "from": 0}]},
    "learningRate": {"peak": 1e-3},
}


@pytest.fixture
def other(preparation: Make, tmp_path: Path) -> Preparation:
    """A job that prepared two sources and trains nothing."""
    sources = [
        {"name": name, "uri": str(write_jsonl(tmp_path / f"{name}.jsonl", corpus(seed, 30)))}
        for seed, name in enumerate(("web", "books"))
    ]
    made = preparation("other", sources=sources, tokenizer={"train": {"vocabSize": 500}})
    made.call_all()
    return made


def user(root: Path, data: dict[str, Any], training: dict[str, Any] | None = TRAINING) -> Preparation:
    folder = root / "user"
    folder.mkdir(exist_ok=True)
    return Preparation(folder, data, training)


def blend_of(prepared: Preparation) -> Blend:
    return Blend.model_validate_json(prepared.layout.blend.read_bytes())


def test_what_another_job_prepared_is_read_where_it_is(other: Preparation, tmp_path: Path) -> None:
    job = user(tmp_path, {"prepared": f"file://{other.storage}"})
    counts = job.call("blend")
    blend, theirs = blend_of(job), blend_of(other)
    assert counts["trainTokens"] == sum(source.train_tokens for source in theirs.sources)
    assert (blend.fingerprint, blend.phases) == (theirs.fingerprint, theirs.phases)
    assert blend.prepared == str(other.storage)
    assert Path(blend.tokenizer) == other.layout.tokenizer
    prefixes = [prefix for source in blend.sources for pair in source.pairs for prefix in (pair.train, pair.validation)]
    assert prefixes
    assert all(Path(f"{prefix}.idx").is_file() for prefix in prefixes if prefix is not None)
    report = DataReport.model_validate_json(job.layout.data_report.read_bytes())
    assert report.sources[0].planned_epochs
    assert not job.layout.tokenized.exists()


def test_a_curriculum_of_its_own_weights_their_sources(other: Preparation, tmp_path: Path) -> None:
    curriculum = [{"from": 0, "weights": {"web": 1.0}}, {"from": 2048, "weights": {"web": 1.0, "books": 3.0}}]
    job = user(tmp_path, {"prepared": str(other.storage), "curriculum": curriculum})
    job.call("blend")
    assert [phase.weights for phase in blend_of(job).phases] == [{"web": 1.0}, {"web": 0.25, "books": 0.75}]
    job.data["curriculum"] = [{"from": 0, "weights": {"news": 1.0}}]
    with pytest.raises(ConfigurationError, match=r"curriculum\[0\].weights: there is no source 'news'; there are web"):
        job.call("blend")


def test_a_preparation_that_isnt_complete_is_refused(other: Preparation, tmp_path: Path) -> None:
    job = user(tmp_path, {"prepared": str(other.storage)})
    other.layout.blend.rename(other.root / "aside")
    with pytest.raises(InputError, match=r"isn't complete: no data/blend.json in it; let that job finish"):
        job.call("blend")
    (other.root / "aside").rename(other.layout.blend)
    unit = next(other.layout.tokenized.glob("web-*.train.bin"))
    unit.write_bytes(unit.read_bytes()[:-2])
    with pytest.raises(InputError, match=r"web-0000\d.train.bin has \d+ bytes instead of \d+; run that job again"):
        job.call("blend")


def test_a_preparation_that_goes_on_is_noticed(other: Preparation, tmp_path: Path) -> None:
    other.data["split"] = {"validation": 0.3}
    other.call("tokenize", 0)  # the first half of it is done again, the blend is that of before
    job = user(tmp_path, {"prepared": str(other.storage)})
    with pytest.raises(InputError, match="it is being prepared anew; let that job finish"):
        job.call("blend")


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("nowhere", "no such directory; write the storage of a job"),
        (".", "not the storage of a job: no data/ in it"),
        ("pvc://claim/path", "names a claim of a cluster, and this isn't one"),
    ],
)
def test_what_is_no_preparation(uri: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises((InputError, ConfigurationError), match=message):
        user(tmp_path, {"prepared": uri}).call("blend")


def test_a_claim_is_found_where_it_is_mounted(
    other: Preparation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRETRAIN_CLAIMS", str(tmp_path))
    job = user(tmp_path, {"prepared": "pvc://other/storage"})
    job.call("blend")
    assert blend_of(job).prepared == str(other.storage)


def test_data_for_another_vocabulary_is_refused(other: Preparation, tmp_path: Path) -> None:
    job = user(tmp_path, {"prepared": str(other.storage)})
    config = job.variables("blend")["PRETRAIN_CONFIG"]
    document = json.loads(Path(config).read_text())
    document["spec"]["model"]["vocabSize"] = 300
    Path(config).write_text(json.dumps(document))
    from pretrain_dataprep.context import load_context
    from pretrain_dataprep.stages.blend import run

    with pytest.raises(ConfigurationError, match="vocabSize: 300 rows are fewer than the 500 tokens of the data's"):
        run(load_context("blend", {"PRETRAIN_CONFIG": config, "PRETRAIN_STORAGE": str(job.storage)}))


def write_tokens(prefix: Path, dtype: type, documents: list[list[int]]) -> Path:
    prefix.parent.mkdir(parents=True, exist_ok=True)
    with write_pair(prefix, dtype) as pair:
        for document in documents:
            pair.add(document)
    return prefix


def ready(uri: Path, **fields: Any) -> dict[str, Any]:
    return {"tokenized": [{"name": "web", "uri": str(uri), **fields}]}


def test_ready_pairs_of_a_directory(tmp_path: Path) -> None:
    generator = np.random.default_rng(1)
    documents = [generator.integers(0, 32_000, 100).tolist() for _ in range(20)]
    write_tokens(tmp_path / "corpus/one", np.uint16, documents[:10])
    write_tokens(tmp_path / "corpus/deep/two", np.int32, documents[10:])
    held_back = write_tokens(tmp_path / "validation", np.uint16, documents[:2])
    job = user(tmp_path, ready(tmp_path / "corpus", validationUri=f"{held_back}.bin"))
    counts = job.call("blend")
    assert (counts["documentsOut"], counts["trainTokens"], counts["validationTokens"]) == (22, 2000, 200)
    blend = blend_of(job)
    assert (blend.dtype, blend.vocab_size, blend.special_tokens.eos) == ("int32", 32_000, None)
    assert [pair.train for pair in blend.sources[0].pairs] == [
        str(tmp_path / "corpus/deep/two"),
        str(tmp_path / "corpus/one"),
        None,
    ]
    assert blend.sources[0].pairs[2].validation == str(held_back)


def test_changed_tokens_have_another_fingerprint(tmp_path: Path) -> None:
    prefix = write_tokens(tmp_path / "one", np.uint16, [[1, 2, 3] * 100])
    job = user(tmp_path, ready(prefix))
    job.call("blend")
    before = blend_of(job).fingerprint
    write_tokens(prefix, np.uint16, [[1, 2, 4] * 100])
    job.call("blend")
    assert blend_of(job).fingerprint != before


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda path: path.with_suffix(".idx").unlink(), "one.idx: isn't there; a pair is a .bin file and the .idx"),
        (lambda path: path.with_suffix(".idx").write_bytes(b"x" * 50), "not an index of Megatron's format"),
        (lambda path: path.write_bytes(path.read_bytes()[:-2]), "bytes aren't what one.idx says; copy both files"),
        (
            lambda path: path.with_suffix(".idx").write_bytes(path.with_suffix(".idx").read_bytes()[:40]),
            "bytes, 62 expected: it was cut",
        ),
        (lambda path: path.write_bytes(b"\xff" * 600), "has token 65,535, and the vocabulary has only 32,000"),
    ],
)
def test_pairs_that_are_damaged(spoil: Callable[[Path], object], message: str, tmp_path: Path) -> None:
    path = Path(f"{write_tokens(tmp_path / 'one', np.uint16, [[1, 2, 3] * 100])}.bin")
    spoil(path)
    with pytest.raises(InputError, match=message):
        user(tmp_path, ready(path)).call("blend")


def test_an_empty_pair_has_facts(tmp_path: Path) -> None:
    assert read_facts(write_tokens(tmp_path / "none", np.uint16, [])) == (np.dtype(np.uint16), 0, 0)
