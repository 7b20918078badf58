"""From options to the job that a block stands for: the same models, the same checks."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pretrain_dataprep.errors import ConfigurationError

_NAME = re.compile(r"([a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?)=(.+)")


def set_value(data: dict[str, Any], path: str, value: Any, *, is_text: bool = False, is_file: bool = False) -> None:
    """Set a field of `data` in place, or with an empty path all fields of a file.

    Args:
        data: Fields of spec.data.
        path: As clean.preset.
        value: What to set.
        is_text: `value` is YAML.
        is_file: `value` is the path of a file of YAML.

    Raises:
        ConfigurationError: The file can't be read, or isn't a mapping.
    """
    if is_file:
        data.update(_read(value))
        return
    *parents, leaf = path.split(".")
    for parent in parents:
        if not isinstance(data.get(parent), dict):
            data[parent] = {}
        data[parent] = dict(data[parent])
        data = data[parent]
    data[leaf] = _parse(value, f"--set {path}") if is_text else value


def _read(path: str) -> dict[str, Any]:
    try:
        document = _parse(Path(path).read_text(encoding="utf-8"), path)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: can't be read: {error}; give the path of a YAML file") from error
    if not isinstance(document, dict):
        raise ConfigurationError(f"{path}: not a mapping; write fields of spec.data, such as clean: {{preset: gopher}}")
    return document


def _parse(text: str, where: str) -> Any:
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{where}: not YAML: {' '.join(str(error).split())}") from error


def job_of(inputs: Sequence[str], data: dict[str, Any], text_field: str, format_: str) -> Any:
    """Return the PretrainJob that prepares the inputs.

    Raises:
        ConfigurationError: Something is wrong with it; lists all problems.
    """
    from pretrain_api.names import API_VERSION, KIND
    from pretrain_api.validation import validate_document

    document = {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"name": "standalone"},
        "spec": {"data": {"sources": _sources(inputs, text_field, format_), **data}},
    }
    job, problems = validate_document(document)
    if job is None:
        raise ConfigurationError("\n".join(map(str, problems)))
    return job


def _sources(inputs: Sequence[str], text_field: str, format_: str) -> list[dict[str, Any]]:
    sources = []
    for number, text in enumerate(inputs):
        named = _NAME.fullmatch(text)
        name, uri = (named[1], named[2]) if named else ("input" if len(inputs) == 1 else f"input-{number}", text)
        sources.append({"name": name, "uri": uri, "textField": text_field, "format": format_})
    return sources
