"""What differs between two resolved jobs, and whether checkpoints of the one can be used by the other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Document = dict[str, Any]

INCOMPATIBLE = (
    "metadata.name",
    "spec.model",
    "spec.objective",
    "spec.training.sequenceLength",
    "spec.training.seed",
    "spec.training.optimizer.type",
    "spec.training.parallelism",
    "spec.data",
)
"""Changes after which checkpoints no longer fit: other weights, or other text behind the same sequence numbers."""
HARMLESS = ("spec.data.workers", "spec.data.keepRemoved", "spec.data.badRecords", "spec.data.sources[*].license")
"""Exceptions to it."""


def changed_paths(before: Any, after: Any, path: str = "") -> list[str]:
    """Return the paths of the fields that differ, as `spec.training.batch.stages[1].tokens`, in order."""
    return list(_differences(before, after, path))


def _differences(before: Any, after: Any, path: str) -> Iterator[str]:
    if isinstance(before, dict) and isinstance(after, dict):
        for key in sorted({*before, *after}):
            yield from _differences(before.get(key), after.get(key), f"{path}.{key}" if path else key)
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, (old, new) in enumerate(zip(before, after, strict=True)):
            yield from _differences(old, new, f"{path}[{index}]")
    elif before != after:
        yield path


def incompatible_paths(before: Document, after: Document, consumed_tokens: int) -> list[str]:
    """Return the changed fields that keep the new job from going on with checkpoints of the old one.

    Args:
        before: The resolved job that trained.
        after: The resolved job that is to go on.
        consumed_tokens: Tokens that the newest checkpoint has behind it.
    """
    paths = [path for path in changed_paths(before, after) if _matches(path, INCOMPATIBLE) and not _harmless(path)]
    old, new = (_stages_behind(document, consumed_tokens) for document in (before, after))
    if old != new:
        paths.append("spec.training.batch.stages")
    tokens = (after["spec"].get("training") or {}).get("tokens", 0)
    if tokens < consumed_tokens:
        paths.append("spec.training.tokens")
    return paths


def _harmless(path: str) -> bool:
    parts = path.split("[")
    general = parts[0] + "".join(f"[*]{part.split(']', 1)[1]}" for part in parts[1:])
    return _matches(general, HARMLESS)


def _matches(path: str, prefixes: tuple[str, ...]) -> bool:
    return any(path == prefix or path.startswith((f"{prefix}.", f"{prefix}[")) for prefix in prefixes)


def _stages_behind(document: Document, consumed_tokens: int) -> list[tuple[int, int]]:
    """Return start and batch of the stages that decided how the consumed tokens were divided into steps."""
    training = document["spec"].get("training") or {"batch": {"stages": []}}
    stages = training["batch"]["stages"]
    return [(stage["from"], stage["tokens"]) for stage in stages if stage["from"] < max(1, consumed_tokens)]
