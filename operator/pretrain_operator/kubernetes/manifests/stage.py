"""The Job of a preparation stage, or of the report."""

from __future__ import annotations

from typing import Any

from pretrain_api.names import ANNOTATION_CONFIGURATION
from pretrain_api.spec.job import PretrainJob
from pretrain_operator.kubernetes.config import OperatorConfig
from pretrain_operator.kubernetes.manifests.merge import merge
from pretrain_operator.kubernetes.manifests.pod import Process, mount_storage, pod_template, variable
from pretrain_operator.kubernetes.manifests.shared import child_metadata, child_name
from pretrain_operator.planning import RetryPolicy, StageRun

GRACE_SECONDS = 30
ANY_STAGE = "preparation"
"""Name of the container in spec.data.podTemplate that stands for the container of every stage."""


def stage_job(job: PretrainJob, run: StageRun, config: OperatorConfig) -> dict[str, Any]:
    """Return the Indexed Job that does a stage's work items."""
    annotations = {ANNOTATION_CONFIGURATION: run.configuration}
    process = Process(
        component=run.component,
        image=config.images.dataprep,
        command=run.command,
        environment=[variable(name, value) for name, value in run.environment.items()],
        resources=config.stage_resources,
        grace_seconds=GRACE_SECONDS,
        annotations=annotations,
    )
    template = mount_storage(pod_template(job, config, process), job)
    template["spec"]["restartPolicy"] = "Never"
    template = merge(template, _template_of_user(job, run.component))
    spec: dict[str, Any] = {
        "completionMode": "Indexed",
        "completions": run.completions,
        "parallelism": run.parallelism,
        "backoffLimitPerIndex": run.retry.limit,
        "podReplacementPolicy": "Failed",
        "podFailurePolicy": _failure_policy(run.component, run.retry),
        "ttlSecondsAfterFinished": config.children.job_ttl_seconds,
        "template": template,
    }
    if job.spec.queue_name is None:
        spec["suspend"] = False  # else Kueue decides
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": child_metadata(job, child_name(job, run.component), run.component, annotations),
        "spec": spec,
    }


def _template_of_user(job: PretrainJob, component: str) -> dict[str, Any]:
    """Return spec.data.podTemplate with the stage's name for the container that stands for it."""
    template = dict(job.spec.data.pod_template)
    spec = template.get("spec")
    if not isinstance(spec, dict) or not isinstance(spec.get("containers"), list):
        return template
    containers = [
        each | {"name": component} if isinstance(each, dict) and each.get("name") == ANY_STAGE else each
        for each in spec["containers"]
    ]
    return {**template, "spec": {**spec, "containers": containers}}


def _failure_policy(container: str, retry: RetryPolicy) -> dict[str, Any]:
    """Disruptions are free, and so is being told to stop; invalid input fails its work item at once."""
    return {
        "rules": [
            {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
            {"action": "Ignore", "onExitCodes": _codes(container, retry.free)},
            {"action": "FailIndex", "onExitCodes": _codes(container, retry.never)},
        ]
    }


def _codes(container: str, codes: frozenset[int]) -> dict[str, Any]:
    return {"containerName": container, "operator": "In", "values": sorted(codes)}
