"""Where a job's storage is in the cluster: a claim, and a path in it."""

from __future__ import annotations

from typing import Any

from pretrain_api.locations import given_claims, parse_claim
from pretrain_api.spec.job import PretrainJob
from pretrain_operator.kubernetes.config import OperatorConfig
from pretrain_operator.kubernetes.manifests.shared import child_name, set_labels

STORAGE_VOLUME = "pretrain-storage"


def claim_and_path(job: PretrainJob) -> tuple[str, str]:
    """Return the name of the claim and the path in it, without a slash first or last; empty: its root."""
    return parse_claim(job.spec.storage.uri) or (child_name(job, "storage"), "")


def given_volumes(job: PretrainJob) -> dict[str, str]:
    """Return the volume of each claim that holds data which is ready, by the claim's name."""
    own, _ = claim_and_path(job)
    claims = given_claims(job.spec.data)
    return {name: STORAGE_VOLUME if name == own else f"pretrain-data-{i}" for i, name in enumerate(claims)}


def claim(job: PretrainJob, config: OperatorConfig) -> dict[str, Any] | None:
    """Return the PersistentVolumeClaim to be made; None: it is there already.

    It has no owner: data and checkpoints stay when the job goes.
    """
    wanted = job.spec.storage.create
    default = config.default_storage
    modes: list[str]
    if wanted is not None:
        size, storage_class, modes = wanted.size, wanted.storage_class_name, list(wanted.access_modes)
    elif not job.spec.storage.uri and default is not None:
        size, storage_class, modes = default.size, default.storage_class_name, list(default.access_modes)
    else:
        return None
    spec: dict[str, Any] = {"accessModes": modes, "resources": {"requests": {"storage": size}}}
    if storage_class is not None:
        spec["storageClassName"] = storage_class
    name, _ = claim_and_path(job)
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name, "namespace": job.metadata.namespace, "labels": set_labels(job)},
        "spec": spec,
    }
