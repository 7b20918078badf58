"""What all children have in common: names, labels, owner, the resolved job."""

from __future__ import annotations

import hashlib
from typing import Any

from pretrain_api.names import (
    API_VERSION,
    KIND,
    LABEL_COMPONENT,
    LABEL_JOB,
    LABEL_QUEUE,
    LABEL_STAGE,
    PREPARATION_STAGES,
    Component,
)
from pretrain_api.resolve import resolved_json
from pretrain_api.spec.job import PretrainJob
from pretrain_operator.kubernetes.config import OperatorConfig

CONFIG_FILE = "job.json"
_newest: list[tuple[PretrainJob, str]] = []
"""The job that children were made for last, and how it is resolved."""


def child_name(job: PretrainJob, suffix: str) -> str:
    """Return the name of a child."""
    return f"{job.metadata.name}-{suffix}"


def config_map_name(job: PretrainJob) -> str:
    """Return the name of the ConfigMap with the resolved job: another content has another name."""
    return child_name(job, f"config-{hashlib.sha256(_resolved(job).encode()).hexdigest()[:10]}")


def _resolved(job: PretrainJob) -> str:
    """Return the resolved job; made once for all children that one look makes."""
    if not _newest or _newest[0][0] is not job:
        _newest[:] = [(job, resolved_json(job))]
    return _newest[0][1]


def set_labels(job: PretrainJob, component: Component | None = None) -> dict[str, str]:
    """Return the labels of a child."""
    labels = {
        "app.kubernetes.io/name": "pretrain",
        "app.kubernetes.io/managed-by": "pretrain-operator",
        "app.kubernetes.io/instance": job.metadata.name,
        LABEL_JOB: job.metadata.name,
    }
    if component is not None:
        labels |= {"app.kubernetes.io/component": component, LABEL_COMPONENT: component}
    if component in PREPARATION_STAGES:
        labels[LABEL_STAGE] = str(component)
    if job.spec.queue_name is not None and component is not None:
        labels[LABEL_QUEUE] = job.spec.queue_name
    return labels


def child_metadata(
    job: PretrainJob, name: str, component: Component | None = None, annotations: dict[str, str] | None = None
) -> dict[str, Any]:
    """Return the metadata of a child that goes with its job."""
    metadata: dict[str, Any] = {
        "name": name,
        "namespace": job.metadata.namespace,
        "labels": set_labels(job, component),
        "ownerReferences": [
            {
                "apiVersion": API_VERSION,
                "kind": KIND,
                "name": job.metadata.name,
                "uid": job.metadata.uid,
                "controller": True,
                "blockOwnerDeletion": True,
            }
        ],
    }
    if annotations:
        metadata["annotations"] = annotations
    return metadata


def config_map(job: PretrainJob, config: OperatorConfig) -> dict[str, Any]:
    """Return the ConfigMap with the resolved job."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": child_metadata(job, config_map_name(job)),
        "immutable": True,
        "data": {CONFIG_FILE: _resolved(job)},
    }
