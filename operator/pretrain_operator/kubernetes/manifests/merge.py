"""Merges a pod template of the user over ours, as Kubernetes' strategic merge patch does for the lists that matter.

https://kubernetes.io/docs/tasks/manage-kubernetes-objects/update-api-object-kubectl-patch/
"""

from __future__ import annotations

from typing import Any

MERGE_KEYS = {
    "containers": "name",
    "initContainers": "name",
    "env": "name",
    "volumes": "name",
    "volumeMounts": "mountPath",
    "volumeDevices": "devicePath",
    "ports": "containerPort",
    "imagePullSecrets": "name",
    "hostAliases": "ip",
    "topologySpreadConstraints": "topologyKey",
}
"""Lists whose entries are merged by a key."""
APPENDED = frozenset({"tolerations"})
"""Lists whose entries are added to ours."""


def merge(ours: Any, theirs: Any, name: str = "") -> Any:
    """Return `ours` with `theirs` merged over it; null removes.

    Args:
        ours: What the operator builds.
        theirs: What the user wrote.
        name: Of the field.
    """
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return _merge_objects(ours, theirs)
    if isinstance(ours, list) and isinstance(theirs, list):
        if name in MERGE_KEYS:
            return _merge_lists(ours, theirs, MERGE_KEYS[name])
        if name in APPENDED:
            return [*ours, *(entry for entry in theirs if entry not in ours)]
    return theirs


def _merge_objects(ours: dict[str, Any], theirs: dict[str, Any]) -> dict[str, Any]:
    merged = dict(ours)
    for key, value in theirs.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge(merged[key], value, key) if key in merged else value
    return merged


def _merge_lists(ours: list[Any], theirs: list[Any], key: str) -> list[Any]:
    merged = list(ours)
    places = {entry.get(key): index for index, entry in enumerate(ours) if isinstance(entry, dict)}
    for entry in theirs:
        index = places.get(entry.get(key)) if isinstance(entry, dict) else None
        if index is None:
            merged.append(entry)
        else:
            merged[index] = merge(merged[index], entry)
    return merged
