"""All that is seen of one job's children."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pretrain_api.wire import StageProgress, TrainerProgress
from pretrain_operator.kubernetes.observing.views import ClaimView, JobView, NodeView, PodView, StatefulSetView


@dataclass(frozen=True)
class Children:
    """The children of a job, and what they said."""

    pods: tuple[PodView, ...] = ()
    jobs: tuple[JobView, ...] = ()
    stateful_set: StatefulSetView | None = None
    claims: tuple[ClaimView, ...] = ()
    departed: tuple[PodView, ...] = ()
    """The last that was seen of pods that are gone, until the plan has seen it."""
    progress: Mapping[str, StageProgress | TrainerProgress] = field(default_factory=dict)
    """Newest answers, by pod uid."""
    warnings: Mapping[str, str] = field(default_factory=dict)
    """Newest Warning event of what is stuck, by uid, as `reason: message`."""
    nodes: Mapping[str, NodeView] = field(default_factory=dict)
    """The nodes that the pods are on, where they can be seen."""
