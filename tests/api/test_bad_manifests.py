"""Every manifest of manifests/bad has exactly the problems that its first lines list: `# path: part of the message`."""

from __future__ import annotations

from pathlib import Path

import pytest

from pretrain_api.validation import Problem, validate_file, validate_text

BAD = sorted((Path(__file__).parent / "manifests" / "bad").glob("*.yaml"))
GOOD = sorted((Path(__file__).parent / "manifests" / "good").glob("*.yaml"))
Expected = list[tuple[str, str]]


def expected_problems(text: str) -> Expected:
    lines = [line.removeprefix("# ") for line in text.splitlines() if line.startswith("# ")]
    return [(path, message) for path, _, message in (line.partition(": ") for line in lines)]


def assert_matches(problems: list[Problem], expected: Expected) -> None:
    listed = "\n".join(map(str, problems))
    assert sorted(problem.path for problem in problems) == sorted(path for path, _ in expected), listed
    for path, part in expected:
        assert any(problem.path == path and part in problem.message for problem in problems), f"{part}\n{listed}"


def assert_is_for_people(problem: Problem) -> None:
    assert "; " in problem.message, problem
    assert "\n" not in str(problem)
    assert len(problem.message) < 500
    for jargon in ("Input should", "pydantic", "Value error", "constrained", "Extra inputs", "Traceback", "None"):
        assert jargon not in problem.message, problem


def test_there_are_many() -> None:
    assert len(BAD) >= 60


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_one_by_one(path: Path) -> None:
    result = validate_file(str(path))
    assert result.jobs == []
    assert_matches(result.problems, expected_problems(path.read_text()))
    for problem in result.problems:
        assert_is_for_people(problem)


def test_all_in_one_file() -> None:
    texts = [path.read_text() for path in BAD]
    result = validate_text("\n---\n".join(texts))
    assert result.documents == len(BAD)
    for index, (path, text) in enumerate(zip(BAD, texts, strict=True)):
        problems = [problem for problem in result.problems if problem.document == index]
        # The same jobs again and again: their names and lines are another matter than their problems.
        found = {problem.path for problem in problems if " of document " not in problem.message}
        wanted = {field for field, _ in expected_problems(text) if not field.startswith("line ")}
        assert {field for field in found if not field.startswith("line ")} == wanted, path.name


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_good_ones_are_valid(path: Path) -> None:
    result = validate_file(str(path))
    assert result.problems == []
    assert result.jobs
