"""Names as Kubernetes takes them, and names that are ours."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from pretrain_api.names import RESERVED_PREFIX
from pretrain_api.problems import Finding, child_path, shown
from pretrain_api.validation.rules.registry import RuleContext, rule
from pretrain_api.validation.suggestions import closest

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_LABEL_KEY = re.compile(r"([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
_OBJECT_META = (
    "name",
    "namespace",
    "labels",
    "annotations",
    "finalizers",
    "ownerReferences",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generateName",
    "managedFields",
    "selfLink",
)


@rule("metadata.namespace")
def namespace_is_a_label(context: RuleContext) -> Iterator[Finding]:
    """A namespace is a DNS-1123 label."""
    namespace = context.job.metadata.namespace
    if not _LABEL.fullmatch(namespace):
        yield Finding(
            "metadata.namespace", f"{shown(namespace)} is not a namespace; write lower-case letters, digits and '-'"
        )


@rule()
def metadata_is_known(context: RuleContext) -> Iterator[Finding]:
    """Metadata has the fields of every Kubernetes object and no others."""
    for name in context.job.metadata.model_extra or {}:
        if name not in _OBJECT_META and context.authored:
            match = closest(name, _OBJECT_META[:4])
            remedy = f"did you mean '{match}'?" if match else f"remove it (here are {', '.join(_OBJECT_META[:4])})"
            yield Finding(child_path("metadata", name), f"unknown field; {remedy}")


@rule("metadata.labels", "metadata.annotations")
def metadata_keeps_clear(context: RuleContext) -> Iterator[Finding]:
    """Labels are well formed, and none of them is ours."""
    metadata = context.job.metadata
    yield from labels_and_annotations("metadata", metadata.labels, metadata.annotations, authored=context.authored)


def labels_and_annotations(
    path: str, labels: Mapping[str, object], annotations: Mapping[str, object], *, authored: bool = True
) -> Iterator[Finding]:
    """Yield what is wrong with the labels and annotations of `path`.

    Args:
        path: Path of the metadata.
        labels: Its labels.
        annotations: Its annotations.
        authored: A user wrote them: those under our own prefix are refused.
    """
    for kind, entries in (("labels", labels), ("annotations", annotations)):
        for key, value in entries.items():
            field = child_path(f"{path}.{kind}", key)
            if authored and key.startswith(RESERVED_PREFIX):
                yield Finding(
                    field, f"{RESERVED_PREFIX} is the operator's own prefix; remove it, or use a prefix of yours"
                )
            elif not _LABEL_KEY.fullmatch(key):
                yield Finding(field, f"{shown(key)} is not a name for a label; write letters, digits, '-', '_', '.'")
            elif not isinstance(value, str):
                yield Finding(field, f"{shown(value)} is not text; put it in quotes")
            elif kind == "labels" and not _LABEL_VALUE.fullmatch(value):
                yield Finding(
                    field,
                    f"{shown(value)} is not a label's value; write at most 63 letters, digits, '-', '_', '.'",
                )


@rule()
def passed_on_names_are_names(context: RuleContext) -> Iterator[Finding]:
    """Names that are passed on to Kubernetes are names there."""
    spec = context.spec
    storage = spec.storage.create
    for path, name, pattern in (
        ("spec.queueName", spec.queue_name, _LABEL),
        ("spec.schedulerName", spec.scheduler_name, _SUBDOMAIN),
        ("spec.priorityClassName", spec.priority_class_name, _SUBDOMAIN),
        ("spec.storage.create.storageClassName", storage.storage_class_name if storage else None, _SUBDOMAIN),
    ):
        if name is not None and context.intact(path) and not pattern.fullmatch(name):
            yield Finding(path, f"{shown(name)} is not a name in Kubernetes; write lower-case letters, digits and '-'")


@rule("spec.trainer.image")
def image_is_a_reference(context: RuleContext) -> Iterator[Finding]:
    """An image has a name without spaces."""
    image = context.spec.trainer.image
    if image is not None and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._:/@-]*", image):
        yield Finding(
            "spec.trainer.image", f"{shown(image)} is not an image; write for example ghcr.io/team/trainer:1.0"
        )
