"""`pretrain generate`, `evaluate` and `export`: what they say; the model itself is asked in a process of its own."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from pretrain_cli.main import build_app


def run(*arguments: str) -> Result:
    return CliRunner().invoke(build_app(arguments[0]), list(arguments))


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    "command", [("generate", "gone", "text"), ("evaluate", "gone", "file"), ("export", "gone", "x", "--int8")]
)
def test_a_model_that_is_not_there_is_named(command: tuple[str, ...]) -> None:
    result = run(*command)
    assert result.exit_code == 1
    assert result.output.startswith(f"pretrain {command[0]}: gone: there is no such directory, and no run of that name")


def test_export_says_what_it_is_for(tmp_path: Path) -> None:
    result = run("export", str(tmp_path), "x")
    assert result.exit_code == 1
    assert "say --int8" in result.output


def test_a_directory_without_a_model_is_refused_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    result = run("export", "empty", "x", "--int8")
    assert result.exit_code == 1
    assert "config.json" in result.output
    assert "Traceback" not in result.output
    assert not (tmp_path / "x").exists()


def test_a_line_that_is_no_question_is_told_before_the_model_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "questions.jsonl").write_text('{"question": "q"}\n')
    result = run("evaluate", "empty", "questions.jsonl")
    assert result.exit_code == 1
    assert "questions.jsonl:1: choices isn't a list" in result.output


def answering(lines: list[dict[str, object]], directory: Path) -> Path:
    """A Python that answers every request with these lines."""
    program = directory / "python"
    text = "\n".join(json.dumps(line) for line in lines)
    program.write_text(f"#!{sys.executable}\nimport json, sys\njson.load(sys.stdin)\nprint({text!r})\n")
    program.chmod(0o755)
    return program


ANSWER = [
    {"model": "m/model"},
    {"text": " world"},
    {"text": "!"},
    {"result": {"text": " world!", "tokens": 2, "promptTokens": 1, "finish": "end", "seconds": 0.1}},
]


def test_text_is_written_after_the_prompt_as_it_comes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "m").mkdir()
    monkeypatch.setattr(sys, "executable", str(answering(ANSWER, tmp_path)))
    assert run("generate", "m", "Hello").output == "Hello world!\n"
    document = json.loads(run("generate", "m", "Hello", "-o", "json").output)
    assert document == {"model": "m/model", "prompt": "Hello", **ANSWER[-1]["result"]}  # type: ignore[dict-item]


def test_a_prompt_may_be_longer_than_an_argument(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "m").mkdir()
    monkeypatch.setattr(sys, "executable", str(answering(ANSWER, tmp_path)))
    prompt = "word " * 100_000
    result = CliRunner().invoke(build_app("generate"), ["generate", "m", "-"], input=prompt)
    assert result.output == f"{prompt} world!\n"
