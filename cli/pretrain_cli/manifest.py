"""From a file of PretrainJobs, with --set and --job, to the one job that is meant."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml

from pretrain_api.problems import format_path, parse_path
from pretrain_api.spec.job import PretrainJob
from pretrain_api.validation import Problem, read_text, validate_text
from pretrain_api.validation.documents import load_documents
from pretrain_cli.errors import UsageError


def load_job(file: str, name: str | None = None, overrides: Sequence[str] = ()) -> PretrainJob:
    """Return the job of `file`.

    Args:
        file: A path; "-" is the standard input.
        name: Which of several jobs.
        overrides: `path=value` each, such as `spec.training.tokens=1M`; the value is YAML.

    Raises:
        UsageError: It can't be read, isn't valid, or it isn't clear which job is meant.
    """
    text = read(file)
    if overrides:
        text = _override(file, text, name, overrides)
    result = validate_text(text)
    if not result.valid:
        raise UsageError(*(f"{file}: {problem}" for problem in result.problems))
    return _choose(file, result.jobs, name)


def invalid(file: str, problems: Sequence[Problem]) -> UsageError:
    """Return the error that lists problems as `pretrain validate` does."""
    return UsageError(*(f"{file}: {problem}" for problem in problems))


def read(file: str) -> str:
    """Return the text of a file, "-" being the standard input. Raises UsageError."""
    try:
        return read_text(file)
    except UnicodeDecodeError as error:
        raise UsageError(f"{file}: is not UTF-8 (byte {error.start}); save it as UTF-8") from error
    except OSError as error:
        raise UsageError(f"{file}: cannot be read ({error.strerror or error}); give the path of a YAML file") from error
    except ValueError as error:
        raise UsageError(f"{file}: {error}") from error


def _choose(file: str, jobs: Sequence[PretrainJob], name: str | None) -> PretrainJob:
    names = [job.metadata.name for job in jobs]
    if name is not None:
        chosen = next((job for job in jobs if job.metadata.name == name), None)
        if chosen is None:
            raise UsageError(f"{file}: there is no job {name!r}; there are: {', '.join(names)}")
        return chosen
    if len(jobs) > 1:
        raise UsageError(f"{file}: holds {len(jobs)} jobs ({', '.join(names)}); choose one with --job NAME")
    return jobs[0]


def _override(file: str, text: str, name: str | None, overrides: Sequence[str]) -> str:
    """Return the text with the overrides in place, in the chosen job or in the only one."""
    documents = load_documents(text)
    for document in documents:
        if document.problems:
            raise invalid(file, document.problems)
    values = [document.value for document in documents]
    meant = [value for value in values if name is None or _name(value) == name]
    if len(meant) != 1:
        names = ", ".join(str(_name(value)) for value in values)
        raise UsageError(f"{file}: --set changes one job, there are: {names}; choose one with --job NAME")
    for override in overrides:
        set_value(meant[0], override)
    return str(yaml.safe_dump_all(values, sort_keys=False, allow_unicode=True))


def _name(value: Any) -> Any:
    metadata = value.get("metadata") if isinstance(value, dict) else None
    return metadata.get("name") if isinstance(metadata, dict) else None


def set_value(document: Any, override: str) -> None:
    """Carry out one `path=value` in place; mappings that aren't there yet are made.

    Raises:
        UsageError: It isn't of that form, or its path leads through something that is no mapping or list.
    """
    path, equals, text = override.partition("=")
    parts = tuple(part for part in parse_path(path) if part is not None)
    if not equals or not parts or format_path(parts) != path:
        raise UsageError(f"--set {override}: write path=value, such as spec.training.tokens=1M")
    value = _parse(override, text)
    target = document
    for depth, part in enumerate(parts[:-1]):
        if isinstance(target, dict) and isinstance(part, str) and target.get(part) is None:
            target[part] = {}
        target = _enter(target, part, override, format_path(parts[:depth]))
    _enter(target, parts[-1], override, format_path(parts[:-1]), assign=True)
    target[parts[-1]] = value


def _enter(target: Any, part: str | int, override: str, path: str, assign: bool = False) -> Any:
    """Return the part of a mapping or list; with `assign`, only see whether it can be set."""
    where = path or "the document"
    if isinstance(part, int):
        if not isinstance(target, list):
            raise UsageError(f"--set {override}: {where} isn't a list")
        if not 0 <= part < len(target):
            raise UsageError(f"--set {override}: {where} has {len(target)} items, counted from 0")
        return target[part]
    if not isinstance(target, dict):
        raise UsageError(f"--set {override}: {where} has no fields, so no {part!r}")
    return None if assign else target[part]


def _parse(override: str, text: str) -> Any:
    if not text.strip():
        return None
    documents = load_documents(text)
    if len(documents) != 1 or documents[0].problems:
        raise UsageError(f"--set {override}: the value isn't YAML; put quotes around text with special characters")
    return documents[0].value
