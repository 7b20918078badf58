"""A valid job as close as possible to an invalid document, so that the rules can look at what is right in it."""

from __future__ import annotations

import copy
from typing import Any

from pydantic import ValidationError

from pretrain_api.json_schema import FieldPath, schema_at
from pretrain_api.spec.job import PretrainJob
from pretrain_api.validation.translation import FieldError, has_part, translate

_MAX_ROUNDS = 12


def parse_job(document: Any) -> PretrainJob:
    """Return the job that `document` says, by the names of the YAML alone.

    Raises:
        pydantic.ValidationError: The document isn't a PretrainJob.
    """
    return PretrainJob.model_validate(document, by_alias=True, by_name=False)


def parse_leniently(document: Any) -> tuple[PretrainJob | None, list[FieldError]]:
    """Return the job and the errors of its fields.

    Where there are errors the job is a repaired one: wrong values and unknown fields are taken out, and what is then
    missing comes from the fields' examples. None: it can't be repaired.
    """
    try:
        return parse_job(document), []
    except ValidationError as error:
        errors = translate(error, document)
    repaired = copy.deepcopy(document)
    pending = errors
    for _ in range(_MAX_ROUNDS):
        for field_error in pending:
            _repair(repaired, field_error)
        try:
            return parse_job(repaired), errors
        except ValidationError as error:
            pending = translate(error, repaired)
    return None, errors


def _repair(document: Any, error: FieldError) -> None:
    parent = _value_at(document, error.path[:-1]) if error.path else None
    key = error.path[-1] if error.path else None
    if error.kind == "missing" and isinstance(parent, dict):
        parent[key] = copy.deepcopy((schema_at(error.path) or {})["examples"][0])
    elif isinstance(parent, dict):
        parent.pop(key, None)
    elif isinstance(parent, list) and isinstance(key, int) and key < len(parent):
        if (schema_at(error.path) or {}).get("type") == "object":
            parent[key] = {}
        else:
            _repair(document, FieldError(error.path[:-1], "value", ""))


def _value_at(document: Any, path: FieldPath) -> Any:
    value = document
    for part in path:
        if not has_part(value, part):
            return None
        value = value[part]
    return value
