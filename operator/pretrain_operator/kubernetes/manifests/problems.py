"""What only a cluster refuses, in the words of validation: `path: what is wrong; what would be right`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from pretrain_api.locations import CLAIM_SCHEME
from pretrain_api.names import Component
from pretrain_api.spec.job import PretrainJob
from pretrain_operator.kubernetes.config import OperatorConfig
from pretrain_operator.kubernetes.manifests.pod import MOUNT_PATHS, VOLUMES
from pretrain_operator.kubernetes.manifests.stage import ANY_STAGE
from pretrain_operator.kubernetes.manifests.storage import claim_and_path

_FIXED_CONTAINER_FIELDS = ("command", "args", "image", "workingDir")
_FIXED_POD_FIELDS = ("restartPolicy", "hostname", "subdomain")


def cluster_problems(job: PretrainJob, config: OperatorConfig) -> tuple[str, ...]:
    """Return everything that keeps a valid job from running in a cluster."""
    data, trainer = job.spec.data.pod_template, job.spec.trainer.pod_template
    return (
        *_storage(job, config),
        *_template_problems("spec.data.podTemplate", data, ANY_STAGE, "set the chart's value images.dataprep"),
        *_template_problems("spec.trainer.podTemplate", trainer, Component.TRAINER, "write spec.trainer.image"),
    )


def _storage(job: PretrainJob, config: OperatorConfig) -> Iterator[str]:
    uri = job.spec.storage.uri
    if not uri:
        if job.spec.storage.create is None and config.default_storage is None:
            yield "spec.storage.uri: missing, and this cluster has no default storage; write pvc://CLAIM/PATH"
        return
    if not uri.startswith(CLAIM_SCHEME):
        yield (
            f"spec.storage.uri: {uri}: pods keep their data on a claim; "
            "write pvc://CLAIM/PATH (spec.storage.create makes the claim)"
        )
        return
    name, path = claim_and_path(job)
    if not name:
        yield f"spec.storage.uri: {uri}: names no claim; write pvc://CLAIM/PATH"
    if ".." in PurePosixPath(path).parts:
        yield f"spec.storage.uri: {uri}: leaves the claim; write a path without .."


def _template_problems(path: str, template: Mapping[str, Any], main: str, image_remedy: str) -> Iterator[str]:
    """Yield what a user's template may not say.

    Args:
        path: Of the template.
        template: It.
        main: Name of the container that is the operator's.
        image_remedy: How its image is chosen.
    """
    spec = _mapping(template.get("spec"))
    for key in _FIXED_POD_FIELDS:
        if key in spec:
            yield f"{path}.spec.{key}: set by the operator; remove it"
    for index, volume in enumerate(_mappings(spec.get("volumes"))):
        if volume.get("name") in VOLUMES or str(volume.get("name")).startswith("pretrain-data-"):
            yield f"{path}.spec.volumes[{index}].name: {volume['name']}: the operator's own; choose another name"
    for index, container in enumerate(_mappings(spec.get("containers"))):
        if container.get("name") == main:
            yield from _container_problems(f"{path}.spec.containers[{index}]", container, image_remedy)


def _container_problems(path: str, container: dict[str, Any], image_remedy: str) -> Iterator[str]:
    for key in _FIXED_CONTAINER_FIELDS:
        if key in container:
            remedy = image_remedy if key == "image" else "remove it"
            yield f"{path}.{key}: set by the operator; {remedy}"
    for index, mount in enumerate(_mappings(container.get("volumeMounts"))):
        if str(mount.get("mountPath", "")).rstrip("/") in MOUNT_PATHS:
            place = f"{path}.volumeMounts[{index}].mountPath"
            yield f"{place}: {mount['mountPath']}: the operator's own; choose another path"


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _mappings(value: object) -> list[dict[str, Any]]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, (list, tuple)) else []
