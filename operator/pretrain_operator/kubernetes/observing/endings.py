"""How the life of a pod ended, and why, as far as the cluster knows."""

from __future__ import annotations

from collections.abc import Mapping

from pretrain_api.names import Reason
from pretrain_api.wire import ExitCode, TerminationMessage
from pretrain_operator.kubernetes.observing.views import ContainerEnd, NodeView, PodView
from pretrain_operator.planning import Ending

_REASONS = {
    "OOMKilled": Reason.OUT_OF_MEMORY,
    "ContainerStatusUnknown": Reason.NODE_LOST,  # kubelet came back and found nothing of it
}
_LOST_NODE_DISRUPTIONS = frozenset({"DeletionByTaintManager", "DeletionByPodGC"})
_OWN_ENDS = frozenset({0, int(ExitCode.STOPPED)})


def ending_of(pod: PodView, end: ContainerEnd, nodes: Mapping[str, NodeView]) -> Ending:
    """Return how the newest life of a pod's container ended."""
    if _was_disrupted(pod):
        return departure_of(pod, nodes)
    return Ending(end.exit_code, end.message, _REASONS.get(end.reason), f"`kubectl logs {_log(pod)}`")


def last_ending_of(pod: PodView, end: ContainerEnd) -> Ending:
    """Return how the life before the running one ended."""
    return Ending(end.exit_code, end.message, _REASONS.get(end.reason), f"`kubectl logs --previous {_log(pod)}`")


def departure_of(pod: PodView, nodes: Mapping[str, NodeView]) -> Ending:
    """Return how a pod that was taken away ended: somebody or something deleted it, or its node is lost."""
    if pod.end is not None and pod.end.exit_code not in _OWN_ENDS and not _was_disrupted(pod):
        return ending_of(pod, pod.end, nodes)  # it had failed before it was deleted
    reason, what = _departure(pod, nodes)
    said = TerminationMessage(
        outcome="Stopped", reason=reason, message=f"pod {pod.name} {what}; another one takes over"
    )
    return Ending(int(ExitCode.STOPPED), said, reason)


def _departure(pod: PodView, nodes: Mapping[str, NodeView]) -> tuple[Reason, str]:
    node = nodes.get(pod.node)
    node_is_lost = bool(pod.node) and (node is None or not node.ready)
    stopped_by_itself = pod.end is not None or (pod.disruption and pod.disruption not in _LOST_NODE_DISRUPTIONS)
    if node_is_lost and not stopped_by_itself:
        return Reason.NODE_LOST, f"was lost with its node {pod.node}"
    if _was_disrupted(pod):
        why = ": ".join(each for each in (pod.disruption or pod.reason, pod.message) if each)
        return Reason.EVICTED, f"was evicted from node {pod.node or '(none)'} ({why})"
    return Reason.POD_DELETED, "was deleted"


def _was_disrupted(pod: PodView) -> bool:
    """Did the cluster take it away, or its node refuse it? Kubelet gives a reason only to pods that it ends itself."""
    return bool(pod.disruption or (pod.reason and pod.phase == "Failed"))


def _log(pod: PodView) -> str:
    return f"-n {pod.namespace} {pod.name}"
