"""docs/reference.md, made from the models."""

from __future__ import annotations

import json
from collections.abc import Iterator

from pretrain_api.estimates.families import from_architecture
from pretrain_api.json_schema import Schema, describe, inlined, job_schema
from pretrain_api.names import API_VERSION, KIND
from pretrain_api.presets import PRESETS
from pretrain_api.status import PretrainJobStatus

_HEAD = f"""\
# Reference of {KIND} ({API_VERSION})

Made from `pretrain_api` by `make generate`; don't edit it.

Tokens are written as whole numbers or as quantities: K, M, B, T are decimal, Ki, Mi, Gi binary (`256Ki`, `4M`, `1.4T`).
"""


def reference() -> str:
    """Return the reference in Markdown: every field of spec and status with type, default and meaning."""
    spec = job_schema()["properties"]["spec"]
    status = inlined(PretrainJobStatus.model_json_schema(by_alias=True, mode="serialization"))
    sections = [_HEAD, *_sections(spec, "spec"), _presets(), *_sections(status, "status")]
    return "\n".join(sections)


def _sections(node: Schema, path: str) -> Iterator[str]:
    """Yield the section of an object and those of the objects in it."""
    nested: list[tuple[Schema, str]] = []
    rows: list[str] = []
    required = node.get("required", [])
    for name, child in node["properties"].items():
        target = child.get("items", child)
        inner = f"{path}.{name}{'[]' if 'items' in child else ''}"
        if target.get("properties"):
            nested.append((target, inner))
        rows.append(_row(name, child, inner if target.get("properties") else None, name in required))
    table = ["| field | type | default | meaning |", "| --- | --- | --- | --- |", *rows]
    description = " ".join(node.get("description", "").split())
    yield "\n".join([f"## {path}", "", description, "", *table, ""])
    for child, inner in nested:
        yield from _sections(child, inner)


def _row(name: str, schema: Schema, section: str | None, required: bool) -> str:
    anchor = "".join(character for character in (section or "").lower() if character.isalnum())
    kind = f"[{section}](#{anchor})" if section else describe(schema)
    if schema.get("type") == "object" and not section and isinstance(schema.get("additionalProperties"), dict):
        kind = f"a mapping of text to {describe(schema['additionalProperties'])}"
    cells = (f"`{name}`", kind, "required" if required else _default(schema), schema.get("description", ""))
    return f"| {' | '.join(' '.join(cell.split()).replace('|', chr(92) + '|') for cell in cells)} |"


def _default(schema: Schema) -> str:
    default = schema.get("default")
    if default is None or default in ("", [], {}) or isinstance(default, dict):
        return ""
    return f"`{default if isinstance(default, str) else json.dumps(default)}`"


def _presets() -> str:
    rows = [
        f"| `{name}` | {preset.family} | {preset.hidden_size} | {preset.intermediate_size} | "
        f"{preset.num_hidden_layers} | {preset.num_attention_heads} | {preset.num_key_value_heads} | "
        f"{preset.vocab_size:,} | {from_architecture(preset).parameters():,} |"
        for name, preset in PRESETS.items()
    ]
    head = [
        "### Presets",
        "",
        "| preset | family | hiddenSize | intermediateSize | layers | heads | keys | vocabulary | parameters |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    return "\n".join([*head, *rows, ""])
