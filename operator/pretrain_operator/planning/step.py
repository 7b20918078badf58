"""What a part of the plan answers: what is to be done now, and how it is to be shown."""

from __future__ import annotations

from dataclasses import dataclass

from pretrain_api.names import Phase
from pretrain_operator.planning.children import Child
from pretrain_operator.planning.failures import Failure


@dataclass(frozen=True)
class Step:
    """What the job does now. Without `failure` it goes on with `children`."""

    phase: Phase
    reason: str
    """Of the condition Running."""
    message: str = ""
    children: tuple[Child, ...] = ()
    running: bool = False
    """Of the condition Running: do processes work, with nothing in their way?"""
    failure: Failure | None = None
    paused: Failure | None = None
    """The trainer wants a person to look before it goes on."""
