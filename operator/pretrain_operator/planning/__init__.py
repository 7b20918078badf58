"""The plan: a pure function from a job and what is seen of it to what should be. Engines carry it out."""

from pretrain_operator.planning.children import Child, RetryPolicy, StageRun, TrainerSet
from pretrain_operator.planning.events import Event
from pretrain_operator.planning.observed import (
    Ending,
    ItemObservation,
    Observed,
    PodObservation,
    RunState,
    StageObservation,
    TrainerObservation,
    Trouble,
)
from pretrain_operator.planning.plan import Plan, plan

__all__ = [
    "Child",
    "Ending",
    "Event",
    "ItemObservation",
    "Observed",
    "Plan",
    "PodObservation",
    "RetryPolicy",
    "RunState",
    "StageObservation",
    "StageRun",
    "TrainerObservation",
    "TrainerSet",
    "Trouble",
    "plan",
]
