"""The trainer: StatefulSet, headless Service, disruption budget, network policy, PodMonitor."""

from __future__ import annotations

import math
from decimal import Decimal, InvalidOperation
from typing import Any

from pretrain_api.names import ANNOTATION_CONFIGURATION, ANNOTATION_REVISION, Component
from pretrain_api.resolve import content_hash
from pretrain_api.spec.job import PretrainJob
from pretrain_api.wire import (
    DEFAULT_HTTP_PORT,
    DEFAULT_MASTER_PORT,
    ENV_GRACE_SECONDS,
    ENV_MASTER_ADDR,
    ENV_MASTER_PORT,
    ENV_NODE_RANK,
    ENV_NUM_NODES,
    ENV_NUM_PROC_PER_NODE,
    ENV_TRAINING_CONFIGURATION,
)
from pretrain_api.world import gpus_per_node
from pretrain_operator.kubernetes.config import OperatorConfig
from pretrain_operator.kubernetes.manifests.merge import merge
from pretrain_operator.kubernetes.manifests.pod import (
    HTTP_PORT_NAME,
    Process,
    mount_storage,
    pod_template,
    variable,
)
from pretrain_operator.kubernetes.manifests.shared import child_metadata, child_name, set_labels
from pretrain_operator.planning import TrainerSet

EXTRA_GRACE_SECONDS = 15
"""What the supervisor needs after its ranks have saved."""
_POD_INDEX = "metadata.labels['apps.kubernetes.io/pod-index']"


def trainer_objects(job: PretrainJob, trainer: TrainerSet, config: OperatorConfig) -> list[dict[str, Any]]:
    """Return the trainer's objects, the StatefulSet first."""
    objects = [_stateful_set(job, trainer, config), _service(job)]
    if config.children.pod_disruption_budgets:
        objects.append(_disruption_budget(job))
    if config.children.network_policies:
        objects.append(_network_policy(job))
    return objects


def trainer_revision(job: PretrainJob, trainer: TrainerSet) -> str:
    """Return the hash of all of the job that needs other pods when it changes. The operator's own configuration isn't
    part of it: an upgrade of the operator never touches a trainer that runs."""
    spec = job.spec
    parts = [spec.checkpoint, spec.stability, spec.trainer, spec.storage, spec.failure_policy]
    scheduling = [spec.queue_name, spec.scheduler_name, spec.priority_class_name]
    child = [trainer.num_nodes, trainer.num_proc_per_node, trainer.configuration, dict(trainer.environment)]
    return content_hash([child, parts, scheduling])


def _name(job: PretrainJob) -> str:
    return child_name(job, Component.TRAINER)


def _selector(job: PretrainJob) -> dict[str, Any]:
    labels = set_labels(job, Component.TRAINER)
    return {"matchLabels": {key: labels[key] for key in sorted(labels) if key.startswith("pretrain.dev/")}}


def _stateful_set(job: PretrainJob, trainer: TrainerSet, config: OperatorConfig) -> dict[str, Any]:
    annotations = {
        ANNOTATION_CONFIGURATION: trainer.configuration,
        ANNOTATION_REVISION: trainer_revision(job, trainer),
    }
    spec = {
        "serviceName": _name(job),
        "replicas": trainer.num_nodes,
        "podManagementPolicy": "Parallel",
        "updateStrategy": {"type": "OnDelete"},
        "selector": _selector(job),
        "template": _template(job, trainer, config, annotations),
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": child_metadata(job, _name(job), Component.TRAINER, annotations),
        "spec": spec,
    }


def _template(
    job: PretrainJob, trainer: TrainerSet, config: OperatorConfig, annotations: dict[str, str]
) -> dict[str, Any]:
    process = Process(
        component=Component.TRAINER,
        image=job.spec.trainer.image or config.images.trainer,
        command=trainer.command,
        environment=_environment(job, trainer, config),
        resources=dict(job.spec.trainer.resources_per_node),
        grace_seconds=config.trainer_grace_seconds + EXTRA_GRACE_SECONDS,
        annotations=annotations,
        probes=_probes(),
    )
    template = pod_template(job, config, process)
    spec = template["spec"]
    # Ranks of a node exchange gradients through shared memory; the default of 64 MiB is too little for NCCL.
    spec["volumes"].append({"name": "pretrain-shm", "emptyDir": {"medium": "Memory"}})
    spec["containers"][0]["volumeMounts"].append({"name": "pretrain-shm", "mountPath": "/dev/shm"})  # noqa: S108
    spec["affinity"] = {"podAffinity": _together(job)}
    merged: dict[str, Any] = merge(mount_storage(template, job), dict(job.spec.trainer.pod_template))
    return merged


def _environment(job: PretrainJob, trainer: TrainerSet, config: OperatorConfig) -> list[dict[str, Any]]:
    name = _name(job)
    # Without GPUs a pod has one rank: CPU time is divided by pods.
    processes = trainer.num_proc_per_node or gpus_per_node(job.spec.trainer) or 1
    given = {
        **trainer.environment,
        ENV_NUM_NODES: str(trainer.num_nodes),
        ENV_NUM_PROC_PER_NODE: str(processes),
        ENV_MASTER_ADDR: f"{name}-0.{name}.{job.metadata.namespace}.svc",
        ENV_MASTER_PORT: str(DEFAULT_MASTER_PORT),
        ENV_GRACE_SECONDS: str(config.trainer_grace_seconds),
        ENV_TRAINING_CONFIGURATION: trainer.configuration,
        "PRETRAIN_LOG_FORMAT": "json",
        "OMP_NUM_THREADS": str(max(1, math.floor(_cpus(job)) // processes)),
        # A collective whose peer is gone ends with an error instead of waiting for ever.
        "TORCH_NCCL_ASYNC_ERROR_HANDLING": "1",
        "NCCL_DEBUG": "WARN",
        "TORCH_EXTENSIONS_DIR": "/tmp/torch_extensions",  # noqa: S108
        "TRITON_CACHE_DIR": "/tmp/triton",  # noqa: S108
    }
    rank = {"name": ENV_NODE_RANK, "valueFrom": {"fieldRef": {"fieldPath": _POD_INDEX}}}
    return [rank, *(variable(key, value) for key, value in given.items())]


def _cpus(job: PretrainJob) -> Decimal:
    """Return the CPUs a pod may use: its limit, else its request, else one."""
    given = job.spec.trainer.resources_per_node
    amounts = (_quantity((given.get(part) or {}).get("cpu")) for part in ("limits", "requests"))
    return next((amount for amount in amounts if amount is not None), Decimal(1))


def _quantity(value: object) -> Decimal | None:
    if value is None:
        return None
    text = str(value)
    try:
        return Decimal(text.removesuffix("m")) / (1000 if text.endswith("m") else 1)
    except InvalidOperation:  # the API server will say so
        return None


def _probes() -> dict[str, Any]:
    get = {"httpGet": {"path": "/healthz", "port": HTTP_PORT_NAME}}
    return {
        "startupProbe": {**get, "periodSeconds": 2, "timeoutSeconds": 5, "failureThreshold": 150},
        "livenessProbe": {**get, "periodSeconds": 20, "timeoutSeconds": 10, "failureThreshold": 6},
        "readinessProbe": {**get, "periodSeconds": 10, "timeoutSeconds": 5},
    }


def _together(job: PretrainJob) -> dict[str, Any]:
    """Nodes that train together are better near each other."""
    placement = job.spec.trainer.placement
    term = {"labelSelector": _selector(job), "topologyKey": placement.topology_key}
    if placement.required:
        return {"requiredDuringSchedulingIgnoredDuringExecution": [term]}
    return {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 100, "podAffinityTerm": term}]}


def _service(job: PretrainJob) -> dict[str, Any]:
    spec = {
        "clusterIP": "None",
        # Supervisors find each other before they are ready.
        "publishNotReadyAddresses": True,
        "selector": _selector(job)["matchLabels"],
        "ports": [{"name": HTTP_PORT_NAME, "port": DEFAULT_HTTP_PORT, "targetPort": HTTP_PORT_NAME}],
    }
    metadata = child_metadata(job, _name(job), Component.TRAINER)
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}


def _disruption_budget(job: PretrainJob) -> dict[str, Any]:
    """One pod less stops all of them anyway, so drains may take one at a time."""
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": child_metadata(job, _name(job), Component.TRAINER),
        "spec": {"maxUnavailable": 1, "selector": _selector(job), "unhealthyPodEvictionPolicy": "AlwaysAllow"},
    }


def _network_policy(job: PretrainJob) -> dict[str, Any]:
    """Trainers of a job reach each other on all ports; others may ask for progress and metrics, and nothing else."""
    ingress = [
        {"from": [{"podSelector": _selector(job)}]},
        {"ports": [{"port": DEFAULT_HTTP_PORT, "protocol": "TCP"}]},
    ]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": child_metadata(job, _name(job), Component.TRAINER),
        "spec": {"podSelector": _selector(job), "policyTypes": ["Ingress"], "ingress": ingress},
    }
