"""From the objects of a cluster to what the plan wants to know: pure."""

from pretrain_operator.kubernetes.observing.children import Children
from pretrain_operator.kubernetes.observing.observe import observe
from pretrain_operator.kubernetes.observing.stuck import lost_pods, stuck, waiting
from pretrain_operator.kubernetes.observing.views import (
    ClaimView,
    ContainerEnd,
    JobView,
    NodeView,
    PodView,
    StatefulSetView,
)

__all__ = [
    "Children",
    "ClaimView",
    "ContainerEnd",
    "JobView",
    "NodeView",
    "PodView",
    "StatefulSetView",
    "lost_pods",
    "observe",
    "stuck",
    "waiting",
]
