"""The trainer's pods: resources, and a template that leaves alone what is the operator's."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from pretrain_api.names import RESERVED_ENVIRONMENT_PREFIXES
from pretrain_api.problems import Finding, child_path, shown
from pretrain_api.validation.rules.names import labels_and_annotations
from pretrain_api.validation.rules.registry import RuleContext, rule
from pretrain_api.validation.suggestions import closest
from pretrain_api.world import GPU_RESOURCES, gpus_per_node

_TEMPLATE = "spec.trainer.podTemplate"
_RESOURCES = "spec.trainer.resourcesPerNode"
_QUANTITY = re.compile(r"[0-9]+(\.[0-9]+)?(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei|e[0-9]+)?")
RESERVED_ENVIRONMENT = frozenset(
    {
        "JOB_COMPLETION_INDEX",
        "MASTER_ADDR",
        "MASTER_PORT",
        "RANK",
        "LOCAL_RANK",
        "WORLD_SIZE",
        "LOCAL_WORLD_SIZE",
        "GROUP_RANK",
        "ROLE_RANK",
    }
)
"""Set by the operator or by the supervisor for its ranks, as torchrun does."""


@rule(_TEMPLATE)
def template_is_a_template(context: RuleContext) -> Iterator[Finding]:
    """A pod template has metadata and spec."""
    template = context.spec.trainer.pod_template
    for key, value in template.items():
        if key not in ("metadata", "spec"):
            match = closest(key, ("metadata", "spec"))
            remedy = f"did you mean '{match}'?" if match else f"it belongs to {_TEMPLATE}.spec"
            yield Finding(child_path(_TEMPLATE, key), f"unknown field; {remedy}")
        elif not isinstance(value, dict):
            yield Finding(f"{_TEMPLATE}.{key}", f"{shown(value)} is not a mapping; write a mapping")


@rule(_TEMPLATE)
def template_keeps_clear(context: RuleContext) -> Iterator[Finding]:
    """Labels and annotations of the pods that are ours stay ours."""
    metadata = _mapping(context.spec.trainer.pod_template.get("metadata"))
    yield from labels_and_annotations(
        f"{_TEMPLATE}.metadata", _mapping(metadata.get("labels")), _mapping(metadata.get("annotations"))
    )


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


@rule(_TEMPLATE)
def containers_keep_clear(context: RuleContext) -> Iterator[Finding]:
    """Containers have names and leave our environment alone."""
    spec = _mapping(context.spec.trainer.pod_template.get("spec"))
    for kind in ("containers", "initContainers"):
        path = f"{_TEMPLATE}.spec.{kind}"
        containers = spec.get(kind)
        if containers is None:
            continue
        if not isinstance(containers, list):
            yield Finding(path, f"{shown(containers)} is not a list; write a list of containers")
            continue
        for index, container in enumerate(containers):
            yield from _container(f"{path}[{index}]", container)


def _container(path: str, container: Any) -> Iterator[Finding]:
    if not isinstance(container, dict):
        yield Finding(path, f"{shown(container)} is not a container; write a mapping with a name")
        return
    if not isinstance(container.get("name"), str):
        yield Finding(
            f"{path}.name", "is missing; name the container, or write name: trainer to change the trainer's own"
        )
    variables = container.get("env")
    for index, variable in enumerate(variables if isinstance(variables, list) else ()):
        name = _mapping(variable).get("name")
        if isinstance(name, str) and is_reserved_environment(name):
            yield Finding(f"{path}.env[{index}].name", f"{name} is set by the operator; remove it, or use another name")


def is_reserved_environment(name: str) -> bool:
    """Return whether an environment variable is one that the operator or the supervisor sets."""
    return name in RESERVED_ENVIRONMENT or name.startswith(RESERVED_ENVIRONMENT_PREFIXES)


@rule(_RESOURCES)
def resources_are_quantities(context: RuleContext) -> Iterator[Finding]:
    """Resources are limits and requests in Kubernetes' quantities."""
    for part, entries in context.spec.trainer.resources_per_node.items():
        if part not in ("limits", "requests", "claims"):
            match = closest(part, ("limits", "requests"))
            remedy = f"did you mean '{match}'?" if match else f"it belongs to {_RESOURCES}.limits"
            yield Finding(child_path(_RESOURCES, part), f"unknown field; {remedy}")
        elif part != "claims":
            yield from _quantities(f"{_RESOURCES}.{part}", entries)


def _quantities(path: str, entries: Any) -> Iterator[Finding]:
    if not isinstance(entries, dict):
        yield Finding(
            path, f"{shown(entries)} is not a mapping; write for example {{nvidia.com/gpu: 8, memory: 900Gi}}"
        )
        return
    for name, value in entries.items():
        field = child_path(path, name)
        if isinstance(value, bool) or not _QUANTITY.fullmatch(str(value)):
            yield Finding(field, f"{shown(value)} is not a quantity; write for example 8, 500m or 900Gi")
        elif name in GPU_RESOURCES and not str(value).isdigit():
            yield Finding(field, f"{shown(value)} is not a whole number of GPUs; write a whole number")


@rule("spec.trainer.numProcPerNode", _RESOURCES)
def processes_fit_the_gpus(context: RuleContext) -> Iterator[Finding]:
    """Every process has a GPU of its own where there are any."""
    trainer = context.spec.trainer
    gpus = gpus_per_node(trainer)
    if gpus is not None and trainer.num_proc_per_node != "auto" and trainer.num_proc_per_node > gpus:
        yield Finding(
            "spec.trainer.numProcPerNode",
            f"{trainer.num_proc_per_node} processes share {gpus} GPUs; write at most {gpus}, or auto",
        )
