"""What waits for too long: whose events are worth reading, and which pods will never end by themselves."""

from __future__ import annotations

import math
from datetime import datetime

from pretrain_api.names import Component
from pretrain_api.spec.job import PretrainJob
from pretrain_operator.kubernetes.observing.children import Children
from pretrain_operator.kubernetes.observing.troubles import trouble_of
from pretrain_operator.kubernetes.observing.views import JobView, PodView, StatefulSetView

PATIENCE_SECONDS = 3.0
"""Something that has only just been made needn't be explained."""
OVERDUE_SECONDS = 15.0
"""After the end of its grace period, a pod that is still there has no kubelet that would end it."""


def waiting(children: Children) -> tuple[PodView | JobView | StatefulSetView, ...]:
    """Return what hasn't got what it needs, for no reason that its own status tells."""
    pods = [
        pod
        for pod in children.pods
        if not (pod.started or pod.ended or pod.deleting or pod.end is not None) and trouble_of(pod, {}) is None
    ]
    components = {pod.component for pod in children.pods}
    jobs = [
        view
        for view in children.jobs
        if not (view.finished or view.suspended or view.deleting) and view.component not in components
    ]
    there = children.stateful_set
    trainers = sum(1 for pod in children.pods if pod.component == Component.TRAINER)
    sets = [there] if there is not None and not there.deleting and trainers < there.replicas else []
    return (*pods, *jobs, *sets)


def stuck(children: Children, now: datetime) -> tuple[PodView | JobView | StatefulSetView, ...]:
    """Return what has been waiting for so long that its events should be read."""
    return tuple(each for each in waiting(children) if (now - each.created).total_seconds() >= PATIENCE_SECONDS)


def lost_pods(job: PretrainJob, children: Children, now: datetime) -> tuple[tuple[PodView, ...], float | None]:
    """Return the pods that have to be forgotten by force, and the seconds until the next one would be."""
    limits = [(pod, _seconds_to_live(job, pod, children, now)) for pod in children.pods if not pod.ended]
    lost = tuple(pod for pod, seconds in limits if seconds <= 0)
    next_look = min((seconds for _, seconds in limits if 0 < seconds < math.inf), default=None)
    return lost, next_look


def _seconds_to_live(job: PretrainJob, pod: PodView, children: Children, now: datetime) -> float:
    limits = [math.inf]
    if pod.delete_at is not None:
        limits.append(OVERDUE_SECONDS + (pod.delete_at - now).total_seconds())
    node = children.nodes.get(pod.node)
    if node is not None and not node.ready:
        timeout = job.spec.failure_policy.node_loss_timeout_seconds
        limits.append(timeout - (now - node.since).total_seconds())
    return min(limits)
