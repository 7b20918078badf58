"""From text to jobs or problems."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pretrain_api.availability import unavailable
from pretrain_api.json_schema import FieldPath
from pretrain_api.names import KIND, PLURAL, SHORT_NAME, SINGULAR
from pretrain_api.problems import Problem, format_path, parse_path, shown
from pretrain_api.spec.job import PretrainJob
from pretrain_api.validation.documents import MAX_TEXT_BYTES, Document, load_documents
from pretrain_api.validation.repair import parse_leniently
from pretrain_api.validation.rules import RuleContext, run_rules


@dataclass
class ValidationResult:
    """What a text holds."""

    jobs: list[PretrainJob] = field(default_factory=list)
    """The valid jobs, in the order of their documents."""
    problems: list[Problem] = field(default_factory=list)
    """All that is wrong, by document and line."""
    documents: int = 0
    """Number of documents."""

    @property
    def valid(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


def validate_file(file_name: str) -> ValidationResult:
    """Validate a file of one or more documents; "-" is the standard input. Never raises."""
    try:
        text = read_text(file_name)
    except OSError as error:
        return _unreadable(f"cannot be read ({error.strerror or error}); give the path of a YAML file")
    except UnicodeDecodeError as error:
        return _unreadable(f"is not UTF-8 (byte {error.start}); save it as UTF-8")
    except ValueError as error:
        return _unreadable(str(error))
    return validate_text(text)


def _unreadable(message: str) -> ValidationResult:
    return ValidationResult(problems=[Problem("file", message)])


def read_text(file_name: str) -> str:
    """Return the text of a file; "-" is the standard input.

    Raises:
        OSError: It can't be read.
        UnicodeDecodeError: It isn't UTF-8.
        ValueError: It's too large, or its name isn't one.
    """
    if file_name == "-":
        data = sys.stdin.buffer.read(MAX_TEXT_BYTES + 1)
    else:
        with Path(file_name).open("rb") as stream:
            data = stream.read(MAX_TEXT_BYTES + 1)
    if len(data) > MAX_TEXT_BYTES:
        raise ValueError(f"is larger than {MAX_TEXT_BYTES} bytes; Kubernetes takes no larger objects")
    return data.decode("utf-8-sig")


def validate_text(text: str) -> ValidationResult:
    """Validate the YAML of one or more PretrainJobs. Never raises."""
    result = ValidationResult()
    names: dict[tuple[str, str], int] = {}
    for document in load_documents(text):
        result.documents += 1
        job, problems = _validate(document)
        if job is not None:
            key = (job.metadata.namespace, job.metadata.name)
            if key in names:
                message = f"{shown(key[1])} is the name of document {names[key] + 1}, too; give each job its own"
                problems.append(_problem(document, "metadata.name", message))
            names.setdefault(key, document.index)
        result.problems += _labelled(problems, document)
        if job is not None and not problems:
            result.jobs.append(job)
    return result


def validate_document(value: Any, *, authored: bool = False) -> tuple[PretrainJob | None, list[Problem]]:
    """Validate one document of plain values, such as an object of the API server.

    Args:
        value: The document.
        authored: A user wrote it: names that are ours alone are refused in its metadata.

    Returns:
        The job, None where there are problems; and the problems.
    """
    document = Document(0, value)
    job, problems = _validate(document, authored=authored)
    return (None if problems else job), _labelled(problems, document)


def _validate(document: Document, *, authored: bool = True) -> tuple[PretrainJob | None, list[Problem]]:
    """Return the job, repaired where there are problems, and the problems."""
    problems = list(document.problems)
    if not document.complete:
        return None, problems
    if (stranger := _stranger(document)) is not None:
        return None, [*problems, stranger]
    document.value = _with_exact_kind(document, problems)
    job, errors = parse_leniently(document.value)
    reported = {problem.path for problem in problems}
    problems += [
        _problem(document, format_path(error.path), error.message)
        for error in errors
        if format_path(error.path) not in reported
    ]
    if job is not None:
        broken: set[FieldPath] = {error.path for error in errors}
        broken |= {error.meant for error in errors if error.meant is not None}
        broken |= {tuple(part for part in parse_path(path) if part is not None) for path in reported}
        context = RuleContext(job, frozenset(broken), authored)
        problems += [_problem(document, path, message) for path, message in run_rules(context)]
        problems += [_problem(document, path, message) for path, message in unavailable(job) if context.intact(path)]
    return job, problems


def _stranger(document: Document) -> Problem | None:
    """Return the one problem of a document that isn't meant to be a PretrainJob."""
    value = document.value
    if not isinstance(value, dict):
        line = document.lines.get("", 1)
        kinds = {list: "a list", str: "text", type(None): "nothing"}
        what = kinds.get(type(value), "a single value")
        return _problem(document, f"line {line}", f"the document is {what}; write a PretrainJob: a mapping of fields")
    kind = value.get("kind")
    if kind == "List":
        return _problem(document, "kind", "'List' is not a PretrainJob; write its items one by one, separated by '---'")
    if isinstance(kind, str) and not _means_ours(kind):
        return _problem(document, "kind", f"{shown(kind)} is not a {KIND}; write {KIND}, or leave this document out")
    return None


def _means_ours(kind: str) -> bool:
    return kind.lower() in (SINGULAR, PLURAL, SHORT_NAME) or kind == KIND


def _with_exact_kind(document: Document, problems: list[Problem]) -> dict[str, Any]:
    value: dict[str, Any] = document.value
    kind = value.get("kind")
    if isinstance(kind, str) and kind != KIND:
        problems.append(_problem(document, "kind", f"{shown(kind)} is not a kind; did you mean '{KIND}'?"))
        return {**value, "kind": KIND}
    return value


def _problem(document: Document, path: str, message: str) -> Problem:
    return Problem(path, message, line=_line(document, path))


def _line(document: Document, path: str) -> int | None:
    """Return the line of a field, or of the nearest part it belongs to."""
    parts = tuple(part for part in parse_path(path) if part is not None)
    for length in range(len(parts), -1, -1):
        line = document.lines.get(format_path(parts[:length]))
        if line is not None:
            return line
    return None


def _labelled(problems: list[Problem], document: Document) -> list[Problem]:
    """Return the problems in the order of the text, with document and job."""
    metadata = document.value.get("metadata") if isinstance(document.value, dict) else None
    name = metadata.get("name") if isinstance(metadata, dict) else None
    job = name if isinstance(name, str) else ""
    ordered = sorted(problems, key=lambda problem: problem.line or 0)
    return [replace(problem, document=document.index, job=job) for problem in ordered]
