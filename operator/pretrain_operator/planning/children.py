"""What a job's engine should have running: children, in terms that fit Jobs and StatefulSets as well as processes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pretrain_api.names import Component
from pretrain_api.wire import ExitCode

STAGE_COMMANDS: Mapping[Component, tuple[str, ...]] = {
    Component.FILTER_MODELS: ("python", "-m", "pretrain_dataprep", "filter-models"),
    Component.CLEAN: ("python", "-m", "pretrain_dataprep", "clean"),
    Component.DEDUP_PAIRS: ("python", "-m", "pretrain_dataprep", "dedup-pairs"),
    Component.DEDUP_CLUSTERS: ("python", "-m", "pretrain_dataprep", "dedup-clusters"),
    Component.TOKENIZER: ("python", "-m", "pretrain_dataprep", "tokenizer"),
    Component.AUGMENT_PLAN: ("python", "-m", "pretrain_dataprep", "augment-plan"),
    Component.TOKENIZE: ("python", "-m", "pretrain_dataprep", "tokenize"),
    Component.BLEND: ("python", "-m", "pretrain_dataprep", "blend"),
    Component.REPORT: ("python", "-m", "pretrain_report"),
}
TRAINER_COMMAND = ("python", "-m", "pretrain_trainer")


@dataclass(frozen=True)
class RetryPolicy:
    """When a work item is tried again, per item. In Kubernetes: backoffLimitPerIndex and podFailurePolicy."""

    limit: int = 3
    """Retries of an item: one counted failure more is final."""
    never: frozenset[int] = frozenset({int(ExitCode.INVALID_CONFIGURATION), int(ExitCode.INVALID_DATA)})
    """Exit codes after which it has failed at once."""
    free: frozenset[int] = frozenset({int(ExitCode.STOPPED)})
    """Exit codes that don't count."""
    first_delay_seconds: float = 0.5
    """Pause before the second try; it doubles each time (10 s in Kubernetes, which can't be set)."""
    longest_delay_seconds: float = 60.0


@dataclass(frozen=True)
class StageRun:
    """A stage as work items that end: an Indexed Job, a Job, or processes."""

    component: Component
    command: tuple[str, ...]
    completions: int
    parallelism: int
    configuration: str
    """Hash of what the stage depends on: another one means another run."""
    environment: Mapping[str, str] = field(default_factory=dict)
    retry: RetryPolicy = RetryPolicy()


@dataclass(frozen=True)
class TrainerSet:
    """The trainer: a StatefulSet, or supervisors on this machine. They run until they are no longer wanted."""

    num_nodes: int
    num_proc_per_node: int | None
    """None: as many as there are accelerators, or as CPUs allow; the engine knows."""
    command: tuple[str, ...]
    configuration: str
    """Hash of what training depends on."""
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def component(self) -> Component:
        """Always the trainer."""
        return Component.TRAINER


Child = StageRun | TrainerSet
