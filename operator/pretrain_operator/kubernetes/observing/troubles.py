"""Why a pod that should run doesn't: in the cluster's own words, with the cause first."""

from __future__ import annotations

from collections.abc import Mapping

from pretrain_api.names import Reason
from pretrain_operator.kubernetes.observing.views import PodView
from pretrain_operator.planning import Trouble

_PULLING = frozenset(
    {
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "ErrImageNeverPull",
        "ImageInspectError",
        "RegistryUnavailable",
    }
)
_CREATING = frozenset(
    {
        "CreateContainerConfigError",
        "CreateContainerError",
        "CrashLoopBackOff",
        "PreCreateHookError",
        "RunContainerError",
    }
)
_HINTS = {
    Reason.IMAGE_PULL_FAILED: "check the image's name, and imagePullSecrets",
    Reason.CONTAINER_CREATION_FAILED: "create what is missing, or change the pod template",
    Reason.UNBOUND_CLAIM: "see the claim's events, and its storage class",
    Reason.MISSING_CLAIM: "create the claim, or let the operator make it with spec.storage.create",
    Reason.UNSCHEDULABLE: "the pod waits until a node fits",
    Reason.VOLUME_MOUNT_FAILED: "create what is missing; the pod goes on by itself",
    Reason.POD_CREATION_FAILED: "see quotas and policies of the namespace",
}


def trouble_of(pod: PodView, warnings: Mapping[str, str]) -> Trouble | None:
    """Return what keeps a pod from starting, if anything is known."""
    if pod.started or pod.ended or pod.deleting:
        return None
    if pod.unschedulable:
        return _trouble(_scheduling_reason(pod.unschedulable), pod.name, pod.unschedulable)
    if pod.waiting_reason in _PULLING:
        return _trouble(Reason.IMAGE_PULL_FAILED, pod.name, pod.waiting_message or pod.waiting_reason)
    if pod.waiting_reason in _CREATING and pod.end is None:
        cause = ": ".join(each for each in (pod.waiting_reason, pod.waiting_message) if each)
        return _trouble(Reason.CONTAINER_CREATION_FAILED, pod.name, cause)
    warning = warnings.get(pod.uid)
    return _trouble(_reason_of(warning), pod.name, warning) if warning else None


def creation_trouble(name: str, warning: str | None) -> Trouble | None:
    """Return what keeps a controller from making pods, if anything is known."""
    return _trouble(Reason.POD_CREATION_FAILED, name, warning) if warning else None


def _reason_of(warning: str) -> Reason:
    if warning.startswith(("FailedMount", "FailedAttachVolume", "FailedMapVolume")):
        return Reason.VOLUME_MOUNT_FAILED
    if warning.startswith("FailedScheduling"):
        return _scheduling_reason(warning)
    return Reason.CONTAINER_CREATION_FAILED


def _scheduling_reason(message: str) -> Reason:
    text = message.lower()
    if "persistentvolumeclaim" not in text:
        return Reason.UNSCHEDULABLE
    if "unbound" in text:  # first: newer schedulers add "not found", of a volume that fits
        return Reason.UNBOUND_CLAIM
    return Reason.MISSING_CLAIM if "not found" in text else Reason.UNSCHEDULABLE


def _trouble(reason: Reason, name: str, cause: str) -> Trouble:
    text = " ".join(cause.split())
    return Trouble(reason, f"{name}: {text}; {_HINTS[reason]}")
