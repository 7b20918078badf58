"""What a node does about a directive: a pure function.

The lease makes a node stop its ranks when it hasn't been in touch with node 0 for a while. It counts from the sending
of the newest report that node 0 has answered, so that it always ends before node 0 gives the node up.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from pretrain_trainer.supervisor.messages import Action, Directive

LEASE_SECONDS = 7.0
"""Time without an answer of node 0 after which a node stops its ranks (`coordinator.NODE_TIMEOUT_SECONDS` is longer, by
the time it takes to kill them and more)."""


class StopMode(Enum):
    """How ranks are stopped."""

    SAVE = auto()
    """SIGTERM, and the grace period for a checkpoint."""
    KILL = auto()
    """A moment, SIGTERM, a moment, SIGKILL."""
    DUMP = auto()
    """SIGUSR1 for the stacks, a moment, SIGKILL."""
    NOW = auto()
    """SIGKILL."""


@dataclass(frozen=True)
class LocalRanks:
    """The ranks of this node."""

    generation: int = 0
    """Newest generation started; 0: none."""
    coordinator: str = ""
    """Who ordered it."""
    live: bool = False
    """Any process left?"""


@dataclass(frozen=True)
class Start:
    """Start the ranks of a generation."""

    generation: int
    master_port: int
    coordinator: str


@dataclass(frozen=True)
class Stop:
    """Stop all ranks. A gentler way than the one under way has no effect."""

    mode: StopMode


Command = Start | Stop | None


def decide(
    directive: Directive | None,
    contact_age_seconds: float,
    local: LocalRanks,
    leaving: bool,
    lease_seconds: float = LEASE_SECONDS,
) -> Command:
    """Say what to do with this node's ranks.

    Args:
        directive: The newest directive; None if there never was one.
        contact_age_seconds: Time since the newest report that node 0 has answered was sent.
        local: The ranks of this node.
        leaving: This supervisor was told to stop.
        lease_seconds: See above.
    """
    in_touch = directive is not None and contact_age_seconds <= lease_seconds
    if not local.live:
        return _start(directive, local) if in_touch and directive is not None and not leaving else None
    if not in_touch or directive is None:
        # Also while a checkpoint is being saved: node 0's supervisor stays until its ranks have done their part.
        return Stop(StopMode.KILL)
    if directive.action is Action.RUN and _same(directive, local):
        return Stop(StopMode.SAVE) if leaving else None
    return Stop(StopMode.SAVE if directive.action is Action.SAVE else _kill_mode(directive))


def _same(directive: Directive, local: LocalRanks) -> bool:
    return (directive.coordinator, directive.generation) == (local.coordinator, local.generation)


def _start(directive: Directive, local: LocalRanks) -> Start | None:
    """A generation is started once: ranks that have ended stay so until the next one."""
    if directive.action is not Action.RUN or directive.generation <= local.generation:
        return None
    return Start(directive.generation, directive.master_port, directive.coordinator)


def _kill_mode(directive: Directive) -> StopMode:
    return StopMode.DUMP if directive.dump_stacks else StopMode.KILL
