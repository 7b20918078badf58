"""What supervisors say to each other: a node reports what is, node 0 answers with what should be.

Both are whole states, not events: a message that is lost, doubled or late changes nothing.
"""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from pretrain_api.status import StatusModel
from pretrain_api.wire import TerminationMessage


class RankFailure(StatusModel):
    """How a rank ended without being asked to."""

    node_rank: int
    rank: int
    exit_code: int | None = None
    """None: a signal ended it, or it hung."""
    reason: str
    message: str
    time: float
    """Seconds since the epoch, by the clock of its node."""


class NodeReport(StatusModel):
    """What a node says about itself."""

    node_rank: int
    incarnation: str
    """Drawn anew by each supervisor process."""
    host: str = ""
    num_nodes: int = 1
    local_world_size: int = 1
    sent: float = 0.0
    """Monotonic clock of the sender; comes back in `Directive.echo`."""
    coordinator: str = ""
    """Whose directive was heard last."""
    sequence: int = 0
    """Number of that directive."""
    generation: int = 0
    """Newest generation of which ranks were started; 0: none."""
    live: bool = False
    """Does any process of these ranks exist?"""
    finished: bool = False
    """All of them ended with exit code 0."""
    failures: list[RankFailure] = Field(default_factory=list)
    leaving: bool = False
    """The supervisor was told to stop."""


class Action(StrEnum):
    """What every node should do."""

    WAIT = "wait"
    """Run no ranks; stop those there are at once."""
    RUN = "run"
    """Run the ranks of `generation`, and of no other."""
    SAVE = "save"
    """Let the ranks save a checkpoint and stop; start none."""
    COMPLETE = "complete"
    """The job is done."""
    FAIL = "fail"
    """The job has failed for good."""


class Directive(StatusModel):
    """What node 0 wants of every node."""

    coordinator: str
    """Incarnation of the supervisor of node 0."""
    sequence: int
    """Grows with every change."""
    action: Action
    generation: int = 0
    master_port: int = 0
    """Where the ranks of this generation meet, on the host of node 0."""
    dump_stacks: bool = False
    """Make the ranks show their stacks before they are stopped."""
    exit_code: int = 0
    termination: TerminationMessage | None = None
    echo: float = 0.0
    """`NodeReport.sent` of the newest report that had come when this was sent."""
