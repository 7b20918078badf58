"""The JSON schema of a PretrainJob in one piece: references inlined, optional fields marked `nullable`.

The messages of the validation, the CRD and the reference are all made from it.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from pretrain_api.spec.job import PretrainJob

Schema = dict[str, Any]
FieldPath = tuple[str | int, ...]


@cache
def job_schema() -> Schema:
    """Return the schema of a PretrainJob. The caller must not change it."""
    return inlined(PretrainJob.model_json_schema(by_alias=True, mode="validation"))


def inlined(schema: Schema) -> Schema:
    """Return a schema of pydantic's without `$ref`, `$defs` and titles; `anyOf` with null becomes `nullable`."""
    return _inlined(schema, schema.get("$defs", {}))


def _inlined(node: Schema, definitions: Schema) -> Schema:
    if "$ref" in node:
        target = definitions[node["$ref"].rsplit("/", 1)[1]]
        node = {**target, **{key: value for key, value in node.items() if key != "$ref"}}
    alternatives = node.get("anyOf", [])
    if {"type": "null"} in alternatives:
        rest = [alternative for alternative in alternatives if alternative != {"type": "null"}]
        outer = {key: value for key, value in node.items() if key != "anyOf"}
        inner = rest[0] if len(rest) == 1 else {"anyOf": rest}
        return {**_inlined(inner, definitions), **outer, "nullable": True}
    result = {key: value for key, value in node.items() if key not in ("$defs", "title")}
    if "properties" in result:
        result["properties"] = {name: _inlined(child, definitions) for name, child in result["properties"].items()}
    for key in ("items", "additionalProperties"):
        if isinstance(result.get(key), dict):
            result[key] = _inlined(result[key], definitions)
    if "prefixItems" in result:
        # A tuple of one type; there is no other kind in a PretrainJob.
        result["items"] = _inlined(result.pop("prefixItems")[0], definitions)
    return result


def schema_at(path: FieldPath) -> Schema | None:
    """Return the schema of the field at `path`; None where the path leaves the schema."""
    node: Schema | None = job_schema()
    for part in path:
        if node is None:
            return None
        node = _child(node, part)
    return node


def _child(node: Schema, part: str | int) -> Schema | None:
    if isinstance(part, int):
        items = node.get("items")
        return items if isinstance(items, dict) else None
    if part in node.get("properties", {}):
        child: Schema = node["properties"][part]
        return child
    additional = node.get("additionalProperties")
    return additional if isinstance(additional, dict) else None


def describe(schema: Schema) -> str:
    """Return in words what a value has to be, such as "a whole number of at least 8"."""
    if schema.get("x-kubernetes-int-or-string"):
        return "a number of tokens, such as 256Ki, 4M or 1.4T"
    if "anyOf" in schema:
        return " or ".join(describe(alternative) for alternative in schema["anyOf"])
    if "const" in schema:
        return str(schema["const"])
    if "enum" in schema:
        return listed(schema["enum"])
    kinds = {"string": "text", "boolean": "true or false", "object": "a mapping"}
    kind = schema.get("type", "object")
    if kind in ("integer", "number"):
        return f"a {'whole ' if kind == 'integer' else ''}number{_bounds(schema)}"
    if kind == "array":
        return _describe_list(schema)
    return kinds[kind]


def _describe_list(schema: Schema) -> str:
    least, most = schema.get("minItems"), schema.get("maxItems")
    item = describe(schema["items"])
    if least is not None and least == most:
        return f"a list of {least} items, each {item}"
    return f"a list of {'at least one of: ' if least else ''}{item}"


def _bounds(schema: Schema) -> str:
    words: tuple[tuple[str, str], ...] = (
        ("exclusiveMinimum", "above {}"),
        ("minimum", "of at least {}"),
        ("exclusiveMaximum", "below {}"),
        ("maximum", "at most {}"),
    )
    # pydantic states a looser bound of a base type beside the tighter one of the field.
    if schema.get("minimum", 0) > schema.get("exclusiveMinimum", 0):
        words = words[1:]
    bounds = [form.format(f"{schema[key]:,}".replace(",", "")) for key, form in words if key in schema]
    return f" {' and '.join(bounds)}" if bounds else ""


def listed(choices: list[Any], last: str = "or") -> str:
    """Return "a, b or c"."""
    texts = [choice if isinstance(choice, str) else json.dumps(choice) for choice in choices]
    return f" {last} ".join([", ".join(texts[:-1]), texts[-1]] if len(texts) > 1 else texts)
