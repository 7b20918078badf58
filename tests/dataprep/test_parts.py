"""Manifests, atomic files, the blend's arithmetic, random choices, tokenizer samples, progress."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pretrain_api.spec.data import Data, TrainTokenizer
from pretrain_dataprep.blending import blend_phases, blend_source, check_sizes, planned_epochs
from pretrain_dataprep.choice import fractions
from pretrain_dataprep.dedup.layout import SURVIVOR
from pretrain_dataprep.errors import ConfigurationError, InputError, TemporaryError
from pretrain_dataprep.files import NpyWriter, atomic_file, atomic_folder, remove_leftovers
from pretrain_dataprep.ledger import note_prepared
from pretrain_dataprep.manifests import (
    Input,
    Manifest,
    Recipe,
    describe_outputs,
    read_manifest,
    why_to_do,
    write_manifest,
)
from pretrain_dataprep.progress import Progress, serve
from pretrain_dataprep.tokenizers.sampling import MAX_SENTENCE_BYTES, sentences, source_shares
from pretrain_dataprep.tokenizers.training import explain


def test_atomic_file(tmp_path: Path) -> None:
    path = tmp_path / "a"
    with atomic_file(path) as file:
        file.write(b"one")
        assert not path.exists()
    with pytest.raises(TypeError), atomic_file(path) as file:
        file.write("not bytes")  # type: ignore[arg-type]
    assert path.read_bytes() == b"one"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a"]


def test_atomic_folder(tmp_path: Path) -> None:
    path = tmp_path / "a"
    for content in ("one", "two"):
        with atomic_folder(path) as folder:
            (folder / "file").write_text(content)
    with pytest.raises(KeyboardInterrupt), atomic_folder(path) as folder:
        raise KeyboardInterrupt
    assert (path / "file").read_text() == "two"
    (tmp_path / ".tmp-a-123-0123abcd").mkdir()
    (tmp_path / ".tmp-a-124-0123abcd").touch()
    (tmp_path / ".tmp-a-00001-124-0123abcd").touch()
    assert remove_leftovers(path) == [".tmp-a-123-0123abcd", ".tmp-a-124-0123abcd"]
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [".tmp-a-00001-124-0123abcd", "a"]


@given(pieces=st.lists(st.integers(0, 5), max_size=4))
def test_npy_writer(tmp_path_factory: pytest.TempPathFactory, pieces: list[int]) -> None:
    path = tmp_path_factory.mktemp("npy") / "a.npy"
    arrays = [np.arange(3 * rows, dtype=np.uint32).reshape(rows, 3) for rows in pieces]
    with NpyWriter(path, np.uint32, (3,)) as writer:
        for array in arrays:
            writer.append(array)
    expected = np.concatenate([*arrays, np.empty((0, 3), np.uint32)])
    assert (np.load(path) == expected).all()
    assert np.load(path).shape == expected.shape


def test_npy_writer_of_records(tmp_path: Path) -> None:
    array = np.array([(1, 2, 0), (3, 4, 1)], SURVIVOR)
    with NpyWriter(tmp_path / "a.npy", SURVIVOR) as writer:
        writer.append(array)
    assert (np.load(tmp_path / "a.npy") == array).all()


def recipe(**changes: Any) -> Recipe:
    inputs = [Input("/a", 1, "aa"), Input("/b", 2, "bb")]
    return Recipe(
        **{"stage": "clean", "unit": "web-00000", "configuration": "c1", "code": "1", "inputs": inputs, **changes}
    )


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, None),
        ({"code": "2"}, "made by code 1, now 2"),
        ({"configuration": "c2"}, "an option it depends on changed (configuration c1 → c2)"),
        ({"inputs": [Input("/a", 1, "aa")]}, "input /b is gone"),
        ({"inputs": [Input("/a", 1, "aa"), Input("/b", 2, "bb"), Input("/c", 0, "")]}, "input /c is new"),
        ({"inputs": [Input("/a", 1, "ax"), Input("/b", 2, "bb")]}, "input /a changed"),
    ],
)
def test_why_to_do(tmp_path: Path, changes: dict[str, Any], reason: str | None) -> None:
    (tmp_path / "out").write_bytes(b"123")
    path = tmp_path / "MANIFEST.json"
    assert why_to_do(path, recipe()) == "not done yet"
    manifest = Manifest(recipe(), describe_outputs(tmp_path, ["out"]), {"documentsIn": 1}, {"too-short": 1})
    write_manifest(path, manifest)
    assert read_manifest(path) == manifest
    assert why_to_do(path, recipe(**changes)) == reason


def test_damaged_units_are_done_again(tmp_path: Path) -> None:
    (tmp_path / "out").write_bytes(b"123")
    path = tmp_path / "MANIFEST.json"
    write_manifest(path, Manifest(recipe(), describe_outputs(tmp_path, ["out"])))
    (tmp_path / "out").write_bytes(b"12")
    assert "out has 2 bytes instead of 3" in str(why_to_do(path, recipe()))
    (tmp_path / "out").unlink()
    assert "out is missing" in str(why_to_do(path, recipe()))
    for content in ("", "{}", "[]", '{"manifestVersion": 2}', "\0"):
        path.write_text(content)
        assert "not a valid manifest" in str(why_to_do(path, recipe()))


def counts(train: int, validation: int = 0) -> dict[str, int]:
    return {
        "trainTokens": train,
        "trainDocuments": train // 10,
        "validationTokens": validation,
        "validationDocuments": validation // 10,
    }


def data(*weights: float | None, **fields: Any) -> Data:
    sources = [{"name": name, "uri": "x", "weight": weight} for name, weight in zip("abc", weights, strict=False)]
    return Data.model_validate({"sources": sources, **fields})


def test_blend() -> None:
    a, b = blend_source("a", None, [counts(300, 10), counts(0), counts(100)]), blend_source("b", 2.0, [counts(50)])
    assert [pair.train for pair in a.pairs] == ["data/tokenized/a-00000.train", "data/tokenized/a-00002.train"]
    assert (a.train_tokens, a.validation_tokens) == (400, 10)
    assert a.pairs[0].validation == "data/tokenized/a-00000.validation"
    assert a.pairs[1].validation is None
    (given_weights,) = blend_phases(data(3.0, 1.0), [a, b])
    assert given_weights.weights == {"a": 0.75, "b": 0.25}
    # 400 tokens against 50 tokens twice.
    (by_size,) = blend_phases(data(None, None), [a, b])
    assert by_size.weights == pytest.approx({"a": 0.8, "b": 0.2})
    curriculum = [{"from": 0, "weights": {"a": 1}}, {"from": "1K", "weights": {"a": 1, "b": 1}}]
    phases = blend_phases(data(None, None, curriculum=curriculum), [a, b])
    assert [phase.from_tokens for phase in phases] == [0, 1000]
    assert planned_epochs([a, b], phases, 3000) == {"a": (1000 + 1000) / 400, "b": 1000 / 50}
    with pytest.raises(ConfigurationError, match="all weights are zero"):
        blend_phases(data(0.0, 0.0), [a, b])
    check_sizes([a, b], phases, 49)
    with pytest.raises(InputError, match="source b has 50 tokens"):
        check_sizes([a, b], phases, 50)


def test_choices_depend_on_text_seed_and_purpose() -> None:
    hashes = np.random.default_rng(1).integers(0, 2**64, (20_000, 2), dtype=np.uint64)
    one = fractions(hashes, 1, "validation")
    assert (one == fractions(hashes, 1, "validation")).all()
    assert one.min() >= 0
    assert one.max() < 1
    assert abs((one < 0.1).mean() - 0.1) < 0.01
    for other in (fractions(hashes, 2, "validation"), fractions(hashes, 1, "tokenizer-sample")):
        assert abs(np.corrcoef(one, other)[0, 1]) < 0.03


def test_shares_of_the_tokenizer_sample() -> None:
    sizes = {"a": 300.0, "b": 100.0}
    assert source_shares(data(1.0, 0.0), sizes) == {"a": 1.0, "b": 0.0}
    assert source_shares(data(None, None), sizes) == {"a": 0.75, "b": 0.25}
    curriculum = [{"from": 0, "weights": {"a": 1}}, {"from": 10, "weights": {"a": 1, "b": 2}}]
    assert source_shares(data(None, None, curriculum=curriculum), sizes) == {"a": 0.5, "b": 0.5}
    # A source of weight 0 may come in by the curriculum and still be kept out of the tokenizer's sample.
    assert source_shares(data(1.0, 0.0, curriculum=curriculum), sizes) == {"a": 1.0, "b": 0.0}


@given(st.lists(st.text(alphabet="ab \né中", max_size=30), max_size=4), st.integers(0, 3))
def test_sentences_hold_all_the_text(texts: list[str], long_lines: int) -> None:
    documents = [text.encode() for text in texts] + [("中a" * 5000).encode()] * long_lines
    lines = list(sentences(documents))
    assert all(0 < len(line) <= MAX_SENTENCE_BYTES and b"\n" not in line for line in lines)
    for line in lines:
        line.decode()
    expected = "".join(line for text in texts for line in text.split("\n") if line.strip())
    assert b"".join(lines).decode() == expected + "中a" * 5000 * long_lines


def test_failures_of_the_tokenizer_are_explained() -> None:
    options = TrainTokenizer(vocab_size=8000)
    high = explain(options, (), 1, "INTERNAL: Vocabulary size too high (8000). Please set it to a value <= 1808.")
    assert isinstance(high, InputError)
    assert "largest possible vocabSize is 1808:" in str(high)
    low = explain(options, (), 1, "Vocabulary size is smaller than required_chars. 270 vs 330. Increase vocab_size")
    assert "least vocabSize is 330" in str(low)
    assert isinstance(explain(options, (), -9, ""), TemporaryError)
    assert "exit code 3" in str(explain(options, (), 3, ""))


def test_ledger_notes_the_same_data_once(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(b'{"event": "start"}\n{"half')
    for fingerprint in ("one", "one", "two", "two"):
        note_prepared(path, fingerprint, {"message": "m"})
    lines = path.read_bytes().splitlines()
    assert [json.loads(line)["fingerprint"] for line in lines[2:]] == ["one", "two"]


def test_progress_is_served() -> None:
    progress = Progress("clean", 3, bytes_total=10)
    progress.add(documents_in=5, documents_out=4, bytes_in=7)
    server = serve(progress, 0, "127.0.0.1")
    assert server is not None
    try:
        base = f"http://127.0.0.1:{server.server_address[1]}"

        def get(path: str) -> str:
            with urllib.request.urlopen(base + path, timeout=10) as response:
                return str(response.read().decode())

        assert json.loads(get("/progress")) == {
            "stage": "clean",
            "index": 3,
            "documentsIn": 5,
            "documentsOut": 4,
            "bytesIn": 7,
            "bytesTotal": 10,
            "message": "",
        }
        assert get("/healthz") == "ok\n"
        assert 'pretrain_dataprep_documents_in_total{stage="clean",index="3"} 5' in get("/metrics")
        # A port that is taken is no reason to fail.
        assert serve(progress, server.server_address[1], "127.0.0.1") is None
    finally:
        server.shutdown()
        server.server_close()


def test_the_log_says_what_was_done(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress("clean", 3)
    progress.add(documents_in=1200, documents_out=900, bytes_in=5_300_000)
    progress.finish()
    Progress("blend").finish()
    clean, blend = capsys.readouterr().err.splitlines()
    assert clean.startswith("clean: done in 0.0 s, 1,200 documents (5.3 MB) in, 900 out")
    assert blend == "blend: done in 0.0 s"
