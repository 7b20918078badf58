"""`pretrain validate`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from pretrain_cli.commands.validate import validate

GOOD = Path(__file__).parents[1] / "api" / "manifests" / "good" / "small.yaml"


def run(*arguments: str, text: str | None = None) -> Result:
    app = typer.Typer()
    app.command()(validate)
    return CliRunner().invoke(app, list(arguments), input=text)


@pytest.fixture
def bad(tmp_path: Path) -> str:
    path = tmp_path / "bad.yaml"
    path.write_text(GOOD.read_text().replace("from: 0}", "from: 1M}").replace("peak: 3e-4", "peek: 3e-4"))
    return str(path)


def test_a_valid_file() -> None:
    result = run(str(GOOD))
    assert (result.exit_code, result.output) == (0, f"{GOOD}: valid (small)\n")
    as_json = run(str(GOOD), "-o", "json")
    assert (as_json.exit_code, json.loads(as_json.output)) == (0, {"valid": True, "problems": []})


def test_a_line_a_problem(bad: str) -> None:
    result = run(bad)
    assert result.exit_code == 1
    assert result.output.splitlines() == [
        f"{bad}: spec.training.batch.stages[0].from: the first stage starts at 1M; write 0",
        f"{bad}: spec.training.learningRate.peek: unknown field; did you mean 'peak'?",
    ]


def test_json_of_one_file(bad: str) -> None:
    result = run(bad, "-o", "json")
    assert result.exit_code == 1
    assert json.loads(result.output) == {
        "valid": False,
        "problems": [
            {
                "path": "spec.training.batch.stages[0].from",
                "message": "the first stage starts at 1M; write 0",
            },
            {"path": "spec.training.learningRate.peek", "message": "unknown field; did you mean 'peak'?"},
        ],
    }


def test_several_files_and_documents(bad: str, tmp_path: Path) -> None:
    several = tmp_path / "several.yaml"
    several.write_text(f"{GOOD.read_text()}---\n{Path(bad).read_text().replace('name: small', 'name: other')}")
    result = run(str(GOOD), str(several), "-o", "json")
    problems = json.loads(result.output)["problems"]
    assert {(problem["file"], problem["document"]) for problem in problems} == {(str(several), 1)}
    lines = run(str(GOOD), str(several)).output.splitlines()
    assert lines[0] == f"{GOOD}: valid (small)"
    assert lines[1].startswith(f"{several}: spec.training.batch.stages[0].from: ")
    assert lines[1].endswith(" (document 2, other)")


def test_standard_input() -> None:
    assert run("-", text=GOOD.read_text()).output == "-: valid (small)\n"
    broken = run("-", text="a: [")
    assert broken.exit_code == 1
    assert broken.output.startswith("-: line 1, column 5: ")


def test_a_missing_file_is_a_problem(tmp_path: Path) -> None:
    result = run(str(tmp_path / "none.yaml"), str(GOOD))
    assert result.exit_code == 1
    first, second = result.output.splitlines()
    assert "file: cannot be read (No such file or directory); " in first
    assert second.endswith("valid (small)")
