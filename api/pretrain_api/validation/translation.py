"""pydantic's errors in plain words: what is wrong; what would be right."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from pretrain_api.json_schema import FieldPath, Schema, describe, schema_at
from pretrain_api.problems import format_path, shown
from pretrain_api.quantities import parse_tokens, suggest_tokens
from pretrain_api.spec.base import PATTERN_MEANINGS
from pretrain_api.validation.suggestions import closest, homes_of

_NUMBER = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")


@dataclass(frozen=True)
class FieldError:
    """A field that is missing, unknown or has a wrong value."""

    path: FieldPath
    kind: str
    """missing, unknown or value."""
    message: str
    meant: FieldPath | None = None
    """The field that an unknown one was most likely meant to be."""


def translate(error: ValidationError, document: Any) -> list[FieldError]:
    """Return the errors of `document`, one a path: the alternatives of a union are one error."""
    by_path: dict[FieldPath, list[Any]] = {}
    for detail in error.errors(include_url=False):
        by_path.setdefault(_document_path(detail["loc"], document, detail["type"] == "missing"), []).append(detail)
    errors = [_field_error(path, details) for path, details in by_path.items()]
    misspelt = {error.meant for error in errors}
    return [error for error in errors if not _follows_from_another(error, errors, misspelt)]


def _follows_from_another(error: FieldError, errors: list[FieldError], misspelt: set[FieldPath | None]) -> bool:
    """Return whether an error is there only because of another: a misspelt field is missing, a list without its wrong
    items is too short."""
    if error.kind == "missing":
        return error.path in misspelt
    depth = len(error.path)
    return error.kind == "value" and any(
        len(other.path) > depth and other.path[:depth] == error.path for other in errors
    )


def _document_path(location: tuple[int | str, ...], document: Any, missing: bool) -> FieldPath:
    """Return where in the document an error is: without pydantic's tags of unions and keys."""
    path: list[str | int] = []
    value = document
    for part in location:
        if not has_part(value, part):
            return (*path, part) if missing and isinstance(value, Mapping) else tuple(path)
        value = value[part]
        path.append(part)
    return tuple(path)


def has_part(value: Any, part: str | int) -> bool:
    """Return whether `value` is a mapping with the key, or a list with the index `part`."""
    if isinstance(value, list):
        return isinstance(part, int) and part < len(value)
    return isinstance(value, Mapping) and part in value


def _field_error(path: FieldPath, details: list[Any]) -> FieldError:
    detail = details[0]
    # A missing item of a list of fixed length is an error of the list's.
    if detail["type"] == "missing" and isinstance(detail["loc"][-1], str):
        return FieldError(path, "missing", _missing(path))
    if detail["type"] == "extra_forbidden":
        return _unknown(path)
    schema = schema_at(path) or {}
    return FieldError(path, "value", _wrong_value(path, details, schema))


def _missing(path: FieldPath) -> str:
    schema = schema_at(path) or {}
    examples = schema.get("examples")
    if not examples:
        return f"is missing; write {describe(schema)}"
    if isinstance(examples[0], dict | list) or "const" in schema:
        return f"is missing; write {path[-1]}: {_flow(examples[0])}"
    return f"is missing; write {describe(schema)}, for example {path[-1]}: {_flow(examples[0])}"


def _flow(value: Any) -> str:
    """Return `value` in YAML's flow style, as a person would write it."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_flow(item) for item in value) + "]"
    if isinstance(value, float) and abs(value) < 1e-3:
        return f"{value:e}".replace(".000000", "").replace("e-0", "e-")
    return str(value)


def _unknown(path: FieldPath) -> FieldError:
    parent, name = path[:-1], str(path[-1])
    known = list((schema_at(parent) or {}).get("properties", {}))
    match = closest(name, known)
    homes = [home for home in homes_of(name) if home != format_path(parent)]
    if match is not None:
        return FieldError(path, "unknown", f"unknown field; did you mean '{match}'?", (*parent, match))
    if homes:
        return FieldError(path, "unknown", f"unknown field; it belongs to {' or '.join(homes)}")
    return FieldError(path, "unknown", f"unknown field; remove it (here are {', '.join(known)})")


_COMPLAINTS = {
    "int_type": "is not a whole number",
    "int_from_float": "is not a whole number",
    "int_parsing_size": "is out of range",
    "float_type": "is not a number",
    "finite_number": "is not a finite number",
    "bool_type": "is not true or false",
    "string_type": "is not text",
    "tuple_type": "is not a list",
    "list_type": "is not a list",
    "dict_type": "is not a mapping",
    "model_type": "is not a mapping",
    "model_attributes_type": "is not a mapping",
    "literal_error": "is not one of the choices",
    "greater_than": "is too small",
    "greater_than_equal": "is too small",
    "less_than": "is too large",
    "less_than_equal": "is too large",
    "string_too_short": "is empty",
    "string_too_long": "is too long",
    "string_pattern_mismatch": "is not in the right form",
    "too_short": "has too few items",
    "too_long": "has too many items",
    "missing": "has too few items",
}


def _wrong_value(path: FieldPath, details: list[Any], schema: Schema) -> str:
    # Of a union's alternatives the last is the general one: auto or a number.
    detail = details[-1]
    value = detail["input"]
    if detail["type"] == "value_error":
        return str(detail["ctx"]["error"])
    complaint = _COMPLAINTS.get(detail["type"], "is not valid")
    return f"{shown(value)} {complaint}; {_remedy(value, detail, schema)}"


def _remedy(value: Any, detail: Any, schema: Schema) -> str:
    if detail["type"] == "literal_error" and isinstance(value, str):
        choices = schema.get("enum") or [schema.get("const", "auto")]
        match = closest(value, [str(choice) for choice in choices])
        return f"{f'did you mean {match}? ' if match and len(choices) > 1 else ''}write {describe(schema)}"
    if detail["type"] == "string_pattern_mismatch":
        return f"write {PATTERN_MEANINGS[detail['ctx']['pattern']]}{_repaired_name(value, detail)}"
    if detail["type"] == "string_too_long":
        return f"write at most {detail['ctx']['max_length']} characters"
    if detail["type"] == "string_type" and isinstance(value, int | float):
        return f'put it in quotes: "{str(value).lower() if isinstance(value, bool) else value}"'
    if schema.get("properties"):
        return f"write {_example(schema, value)}"
    return f"write {describe(schema)}{_unquoted(value, schema)}" if schema else "write text"


def _example(schema: Schema, value: Any) -> str:
    """Return an object in YAML: its example; or its first field with the value that was written instead of it."""
    if schema.get("examples"):
        return _flow(schema["examples"][0])
    fields = schema["properties"]
    if required := schema.get("required"):
        return _flow({name: fields[name]["examples"][0] for name in required})
    first = next(iter(fields))
    return _flow({first: value if isinstance(value, str | int) and value else "..."})


def _unquoted(value: Any, schema: Schema) -> str:
    """Return a hint for a number that was written as text: in quotes, or with a unit."""
    if not isinstance(value, str) or schema.get("type") not in ("integer", "number", "boolean"):
        return ""
    if value.lower() in ("true", "false"):
        return ", without quotes"
    if schema["type"] == "number" and _NUMBER.fullmatch(value):
        return f", without quotes: {value}"
    tokens = suggest_tokens(value)
    return f", without quotes and units: {parse_tokens(tokens)}" if tokens and schema["type"] == "integer" else ""


def _repaired_name(value: str, detail: Any) -> str:
    if detail["ctx"]["pattern"] not in PATTERN_MEANINGS or not detail["ctx"]["pattern"].startswith("^[a-z0-9]("):
        return ""
    letters = "".join(character if character.isascii() and character.isalnum() else "-" for character in value.lower())
    return f", such as {repaired}" if (repaired := letters.strip("-")) else ""
