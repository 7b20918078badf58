"""The CustomResourceDefinition of a PretrainJob, made from the models."""

from __future__ import annotations

import json
from typing import Any

from pretrain_api.cel import SCHEMA_RULES
from pretrain_api.json_schema import Schema, inlined, job_schema
from pretrain_api.names import GROUP, KIND, PLURAL, SHORT_NAME, SINGULAR, VERSION
from pretrain_api.presets import PRESETS
from pretrain_api.spec.base import NAME_PATTERN
from pretrain_api.status import PretrainJobStatus

# Keys of a structural schema that mean the same in pydantic's dialect (2020-12) and in OpenAPI 3.0.
_KEPT = (
    "description",
    "type",
    "pattern",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    "x-kubernetes-preserve-unknown-fields",
)
_LIST_KEYS = {
    "spec.data.sources": "name",
    "spec.data.tokenized": "name",
    "spec.training.evaluation.multipleChoice": "name",
    "status.conditions": "type",
}
"""Lists whose items are known by a key: unique, and merged one by one by server-side apply."""

_COLUMNS = (
    ("Phase", "string", ".status.phase"),
    ("Progress", "string", ".status.summary.progress"),
    ("Step", "string", ".status.summary.step"),
    ("Tokens", "string", ".status.summary.tokens"),
    ("Loss", "string", ".status.summary.loss"),
    ("Tokens/s", "string", ".status.summary.tokensPerSecond"),
    ("ETA", "string", ".status.summary.estimatedRemaining"),
    ("Restarts", "integer", ".status.restarts.total"),
    ("Age", "date", ".metadata.creationTimestamp"),
)


def custom_resource_definition() -> dict[str, Any]:
    """Return the CustomResourceDefinition, as plain values."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        # It and the jobs outlive an uninstallation of the chart; an upgrade of the chart upgrades it.
        "metadata": {"name": f"{PLURAL}.{GROUP}", "annotations": {"helm.sh/resource-policy": "keep"}},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": KIND,
                "listKind": f"{KIND}List",
                "plural": PLURAL,
                "singular": SINGULAR,
                "shortNames": [SHORT_NAME],
                "categories": ["all"],
            },
            "versions": [_version()],
        },
    }


def _version() -> dict[str, Any]:
    return {
        "name": VERSION,
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "additionalPrinterColumns": [{"name": name, "type": kind, "jsonPath": path} for name, kind, path in _COLUMNS],
        "schema": {"openAPIV3Schema": open_api_schema()},
    }


def open_api_schema() -> Schema:
    """Return the structural schema of spec and status, with CEL rules."""
    job = job_schema()
    status = inlined(PretrainJobStatus.model_json_schema(by_alias=True, mode="serialization"))
    status.pop("required", None)  # a status is patched in parts
    return {
        "type": "object",
        "description": job["description"],
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {
                "type": "object",
                "properties": {"name": {"type": "string", "maxLength": 40, "pattern": NAME_PATTERN}},
            },
            "spec": _structural(job["properties"]["spec"], "spec"),
            "status": _structural(status, "status"),
        },
    }


def _structural(node: Schema, path: str) -> Schema:
    """Return the part of the structural schema at `path`: OpenAPI 3.0, without `anyOf`, `const` and `default`."""
    if "anyOf" in node or "x-kubernetes-int-or-string" in node:
        result = _int_or_string(node)
    else:
        result = {key: node[key] for key in _KEPT if key in node}
        result.setdefault("type", "object")
        result |= _bounds(node) | _choices(node, path)
        if node.get("type") == "integer":
            result["format"] = "int64"
    if _null_has_a_meaning(node, path):
        result["nullable"] = True
    if text := described(node):
        result["description"] = text
    result |= _children(node, path)
    if rules := SCHEMA_RULES.get(path):
        result["x-kubernetes-validations"] = [rule.as_schema() for rule in rules]
    return result


def _int_or_string(node: Schema) -> Schema:
    """Return the schema of a whole number or text: a quantity of tokens, or a number or "auto"."""
    result: Schema = {"x-kubernetes-int-or-string": True}
    if "pattern" in node:
        return {**result, "pattern": node["pattern"], **_bounds(node)}
    for alternative in node["anyOf"]:
        if "const" in alternative:
            result["pattern"] = f"^{alternative['const']}$"
        result |= _bounds(alternative)
    return result


def _bounds(node: Schema) -> Schema:
    bounds: Schema = {}
    for key, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if key in node:
            bounds[key] = node[key]
        elif exclusive in node:
            bounds |= {key: node[exclusive], exclusive: True}
    return bounds


def _choices(node: Schema, path: str) -> Schema:
    if path == "spec.model.preset":
        return {"enum": list(PRESETS)}
    if "const" in node:
        return {"enum": [node["const"]]}
    return {"enum": node["enum"]} if "enum" in node else {}


def _null_has_a_meaning(node: Schema, path: str) -> bool:
    """Return whether null differs from leaving the field out. The API server drops null everywhere else, as we do."""
    if not node.get("nullable"):
        return False
    return path.startswith("status") or node.get("default") is not None


def _children(node: Schema, path: str) -> Schema:
    children: Schema = {}
    if node.get("properties"):
        children["properties"] = {
            name: _structural(child, f"{path}.{name}") for name, child in node["properties"].items()
        }
        if node.get("required"):
            children["required"] = node["required"]
    if "items" in node:
        children["items"] = _structural(node["items"], f"{path}[]")
        if key := _LIST_KEYS.get(path):
            children |= {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [key]}
        else:
            children["x-kubernetes-list-type"] = "atomic"
    if isinstance(node.get("additionalProperties"), dict):
        children["additionalProperties"] = _structural(node["additionalProperties"], f"{path}{{}}")
    return children


def described(node: Schema) -> str:
    """Return the description of a field with its default."""
    text = " ".join(node.get("description", "").split())
    default = node.get("default")
    if default is None or default == "" or isinstance(default, dict | list):
        return text
    shown = default if isinstance(default, str) else json.dumps(default)
    return f"{text} Default: {shown}.".strip()
