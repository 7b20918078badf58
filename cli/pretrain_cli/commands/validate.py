"""`pretrain validate FILE…`: is this a PretrainJob that can run?"""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

import typer

from pretrain_api.problems import printable
from pretrain_api.validation import Problem, ValidationResult, validate_file


def validate(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="YAML files; - is the standard input.")],
    output: Annotated[
        Literal["text", "json"],
        typer.Option("-o", "--output", help="text: a line a problem; json: one object."),
    ] = "text",
) -> None:
    """Say everything that is wrong with PretrainJobs, and what would be right."""
    results = [(printable(file), validate_file(file)) for file in files]
    if output == "json":
        typer.echo(json.dumps(_report(results), ensure_ascii=False, indent=2))
    else:
        for file, result in results:
            for line in _lines(file, result):
                typer.echo(line)
    raise typer.Exit(0 if all(result.valid for _, result in results) else 1)


def _lines(file: str, result: ValidationResult) -> list[str]:
    if result.valid:
        return [f"{file}: valid ({', '.join(job.metadata.name for job in result.jobs)})"]
    return [f"{file}: {problem}{_which(problem, result)}" for problem in result.problems]


def _which(problem: Problem, result: ValidationResult) -> str:
    """Return which document of several a problem is about."""
    if result.documents < 2:
        return ""
    return f" (document {problem.document + 1}{f', {problem.job}' if problem.job else ''})"


def _report(results: list[tuple[str, ValidationResult]]) -> dict[str, Any]:
    """Return the report for machines; `file` and `document` only where there are several to tell apart."""
    problems: list[dict[str, Any]] = []
    for file, result in results:
        for problem in result.problems:
            entry: dict[str, Any] = {"path": problem.path, "message": problem.message}
            if len(results) > 1:
                entry["file"] = file
            if result.documents > 1:
                entry["document"] = problem.document
            problems.append(entry)
    return {"valid": not problems, "problems": problems}
