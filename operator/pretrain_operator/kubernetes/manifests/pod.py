"""The pod template of all our pods: restricted Pod Security, configuration, storage."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from pretrain_api.names import Component
from pretrain_api.spec.job import PretrainJob
from pretrain_api.wire import DEFAULT_HTTP_PORT, ENV_CLAIMS, ENV_CONFIG, ENV_STORAGE
from pretrain_operator.kubernetes.config import OperatorConfig
from pretrain_operator.kubernetes.manifests.shared import CONFIG_FILE, config_map_name, set_labels
from pretrain_operator.kubernetes.manifests.storage import STORAGE_VOLUME, claim_and_path, given_volumes

USER_ID = 65532
"""Nobody's account in the images."""
CONFIG_PATH = "/etc/pretrain"
STORAGE_PATH = "/var/lib/pretrain/storage"
CLAIMS_PATH = "/var/lib/pretrain/claims"
"""Claims with data that is ready are mounted below it, each under its name."""
TEMPORARY_PATH = "/tmp"  # noqa: S108 — a path in the container, on a volume of its own
VOLUMES = frozenset({"pretrain-config", STORAGE_VOLUME, "pretrain-tmp", "pretrain-shm"})
"""Names of our volumes."""
MOUNT_PATHS = frozenset({CONFIG_PATH, STORAGE_PATH, CLAIMS_PATH, TEMPORARY_PATH, "/dev/shm"})  # noqa: S108
HTTP_PORT_NAME = "http"


@dataclass(frozen=True)
class Process:
    """What runs in a pod of ours."""

    component: Component
    image: str
    command: tuple[str, ...]
    environment: list[dict[str, Any]]
    resources: dict[str, Any]
    grace_seconds: int
    annotations: dict[str, str] = field(default_factory=dict)
    probes: dict[str, Any] = field(default_factory=dict)


def variable(name: str, value: object) -> dict[str, Any]:
    """Return an environment variable."""
    return {"name": name, "value": str(value)}


def pod_template(job: PretrainJob, config: OperatorConfig, process: Process) -> dict[str, Any]:
    """Return the pod template of a process."""
    spec: dict[str, Any] = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        # The kernel keeps SIGTERM from a process 1 without a handler: a pod that is still starting wouldn't stop.
        "shareProcessNamespace": True,
        "terminationGracePeriodSeconds": process.grace_seconds,
        "securityContext": _pod_security(),
        "containers": [_container(config, process)],
        "volumes": _volumes(job),
        "tolerations": _tolerations(job),
    }
    if config.images.pull_secrets:
        spec["imagePullSecrets"] = [{"name": name} for name in config.images.pull_secrets]
    if job.spec.scheduler_name is not None:
        spec["schedulerName"] = job.spec.scheduler_name
    if job.spec.priority_class_name is not None:
        spec["priorityClassName"] = job.spec.priority_class_name
    metadata = {"labels": set_labels(job, process.component), "annotations": dict(process.annotations)}
    return {"metadata": metadata, "spec": spec}


def _container(config: OperatorConfig, process: Process) -> dict[str, Any]:
    container: dict[str, Any] = {
        "name": str(process.component),
        "image": process.image,
        "imagePullPolicy": config.images.pull_policy,
        "command": list(process.command),
        "env": [
            variable(ENV_CONFIG, f"{CONFIG_PATH}/{CONFIG_FILE}"),
            variable(ENV_STORAGE, STORAGE_PATH),
            variable("HOME", TEMPORARY_PATH),
            *process.environment,
        ],
        "ports": [{"name": HTTP_PORT_NAME, "containerPort": DEFAULT_HTTP_PORT, "protocol": "TCP"}],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        "volumeMounts": [
            {"name": "pretrain-config", "mountPath": CONFIG_PATH, "readOnly": True},
            {"name": "pretrain-tmp", "mountPath": TEMPORARY_PATH},
        ],
        **process.probes,
    }
    if process.resources:
        container["resources"] = process.resources
    return container


def mount_storage(template: dict[str, Any], job: PretrainJob) -> dict[str, Any]:
    """Mount the job's storage in every pod of a template, and data that is ready, read-only; return the template."""
    _, path = claim_and_path(job)
    mount: dict[str, Any] = {"name": STORAGE_VOLUME, "mountPath": STORAGE_PATH}
    if path:
        mount["subPath"] = path
    container = template["spec"]["containers"][0]
    container["volumeMounts"].append(mount)
    given = given_volumes(job)
    if given:
        container["env"].append(variable(ENV_CLAIMS, CLAIMS_PATH))
    for claim, volume in given.items():
        container["volumeMounts"].append({"name": volume, "mountPath": f"{CLAIMS_PATH}/{claim}", "readOnly": True})
        if volume != STORAGE_VOLUME:
            source = {"claimName": claim, "readOnly": True}
            template["spec"]["volumes"].append({"name": volume, "persistentVolumeClaim": source})
    return template


def _pod_security() -> dict[str, Any]:
    return {
        "runAsNonRoot": True,
        "runAsUser": USER_ID,
        "runAsGroup": USER_ID,
        "fsGroup": USER_ID,
        # A storage of many files would else be walked through at every start of a pod.
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def _volumes(job: PretrainJob) -> list[dict[str, Any]]:
    claim, _ = claim_and_path(job)
    return [
        {"name": "pretrain-config", "configMap": {"name": config_map_name(job)}},
        {"name": STORAGE_VOLUME, "persistentVolumeClaim": {"claimName": claim}},
        {"name": "pretrain-tmp", "emptyDir": {}},
    ]


def _tolerations(job: PretrainJob) -> list[dict[str, Any]]:
    """A lost node is noticed after nodeLossTimeoutSeconds, not after the cluster's five minutes."""
    seconds = math.ceil(job.spec.failure_policy.node_loss_timeout_seconds)
    lost = {"operator": "Exists", "effect": "NoExecute", "tolerationSeconds": seconds}
    return [{"key": f"node.kubernetes.io/{state}", **lost} for state in ("not-ready", "unreachable")]
