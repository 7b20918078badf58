"""`pretrain sample-corpus`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from pretrain_cli.commands.sample_corpus import sample_corpus
from pretrain_dataprep.sources import sample_corpus as writer
from pretrain_dataprep.sources.sample import SampleParameters, list_files, read_documents

EXPECTED = SampleParameters(megabytes=1.5)


@pytest.fixture(scope="module")
def app() -> typer.Typer:
    app = typer.Typer()
    app.command()(sample_corpus)
    return app


def invoke(app: typer.Typer, *arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def expected_documents() -> dict[str, str]:
    return {
        identifier: text for file in list_files(EXPECTED) for identifier, text in read_documents(file.name, EXPECTED)
    }


def test_writes_shards_of_json_lines(app: typer.Typer, tmp_path: Path) -> None:
    result = invoke(app, tmp_path / "corpus", "--megabytes", 1.5)
    assert result.exit_code == 0, result.output
    parts = sorted((tmp_path / "corpus").iterdir())
    assert [part.name for part in parts] == [f"part-{index:05d}.jsonl" for index in range(len(parts))]
    assert len(parts) >= 2
    records = [json.loads(line) for part in parts for line in part.read_bytes().splitlines()]
    assert {record["id"]: record["text"] for record in records} == expected_documents()
    assert f"{len(records):,} documents" in result.output
    assert list(tmp_path.iterdir()) == [tmp_path / "corpus"], "nothing temporary is left"


def test_writes_one_text_file_a_document(app: typer.Typer, tmp_path: Path) -> None:
    assert invoke(app, tmp_path / "corpus", "--megabytes", 1.5, "--format", "text").exit_code == 0
    root = tmp_path / "corpus"
    written = {
        path.relative_to(root).as_posix().removesuffix(".txt"): path.read_bytes().decode()
        for path in root.rglob("*.txt")
    }
    assert written == expected_documents()


def test_replaces_its_own_corpus_only_by_force(app: typer.Typer, tmp_path: Path) -> None:
    directory = tmp_path / "corpus"
    assert invoke(app, directory, "--megabytes", 1.5).exit_code == 0
    before = (directory / "part-00000.jsonl").read_bytes()
    refused = invoke(app, directory, "--megabytes", 0.5)
    assert refused.exit_code == 1
    assert f"{directory}: is there already; give another directory, or --force" in refused.output
    assert (directory / "part-00000.jsonl").read_bytes() == before
    assert invoke(app, directory, "--megabytes", 0.5, "--force").exit_code == 0
    assert [path.name for path in directory.iterdir()] == ["part-00000.jsonl"]
    assert list(tmp_path.iterdir()) == [directory]


def test_never_replaces_anything_else(app: typer.Typer, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    result = invoke(app, tmp_path, "--force")
    assert result.exit_code == 1
    assert "holds something else than a sample corpus" in result.output
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_a_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def disk_full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writer, "_write", disk_full)
    with pytest.raises(OSError, match="No space left"):
        writer.write_sample_corpus(tmp_path / "corpus", EXPECTED)
    assert list(tmp_path.iterdir()) == []
