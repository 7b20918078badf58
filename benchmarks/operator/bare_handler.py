"""The peer: the least that a kopf handler with `kubernetes.aio` does for a job: a ConfigMap, a Job, a phase.

Run by `kopf run` as its documentation shows it; it heals nothing and forgets everything.
"""

from __future__ import annotations

from typing import Any

import kopf
from kubernetes.aio import client
from kubernetes.aio.config import load_kube_config

API: dict[str, client.ApiClient] = {}


@kopf.on.startup()
async def set_up(settings: kopf.OperatorSettings, **_: Any) -> None:
    """Connect; no events, a status of its own: as fast as kopf is."""
    settings.posting.enabled = False
    settings.persistence.progress_storage = kopf.StatusProgressStorage()
    settings.persistence.finalizer = "benchmark.pretrain.dev/bare"
    configuration = client.Configuration()
    await load_kube_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
    API["client"] = client.ApiClient(configuration)


@kopf.on.cleanup()
async def close(**_: Any) -> None:
    """Let go of the connection."""
    await API["client"].close()  # type: ignore[no-untyped-call]


@kopf.on.create("pretrain.dev", "v1alpha1", "pretrainjobs")
async def created(
    name: str, namespace: str | None, spec: kopf.Spec, patch: kopf.Patch, body: kopf.Body, **_: Any
) -> None:
    """Make the children of a job."""
    labels = {"pretrain.dev/job": name}
    config: dict[str, Any] = {
        "metadata": {"name": f"{name}-config", "labels": labels},
        "data": {"job.json": str(dict(spec))},
    }
    container = {"name": "clean", "image": "none", "command": ["true"]}
    template = {"metadata": {"labels": labels}, "spec": {"restartPolicy": "Never", "containers": [container]}}
    job: dict[str, Any] = {"metadata": {"name": f"{name}-clean", "labels": labels}, "spec": {"template": template}}
    for child in (config, job):
        kopf.append_owner_reference(child, owner=body)
    await client.CoreV1Api(API["client"]).create_namespaced_config_map(namespace, config)  # type: ignore[arg-type]
    await client.BatchV1Api(API["client"]).create_namespaced_job(namespace, job)  # type: ignore[arg-type]
    patch.status["phase"] = "Preparing"
