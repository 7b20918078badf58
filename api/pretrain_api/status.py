"""`status` of a PretrainJob: what the operator reports, and a local run's status.json.

Times are RFC 3339 in UTC.
"""

from __future__ import annotations

import hashlib
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, computed_field
from pydantic.alias_generators import to_camel

from pretrain_api.names import ConditionType, Phase, StageState
from pretrain_api.quantities import humanize_seconds, humanize_tokens


class StatusModel(BaseModel):
    """A part of the status: camelCase in JSON; unknown fields of newer writers are ignored."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="ignore",
        defer_build=True,
        use_attribute_docstrings=True,
        ser_json_inf_nan="null",
    )


class Condition(StatusModel):
    """A metav1.Condition."""

    type: ConditionType
    status: Literal["True", "False", "Unknown"]
    reason: str
    message: str = ""
    last_transition_time: str = ""
    observed_generation: int = 0


class PreparationStage(StatusModel):
    """One stage of the data preparation."""

    name: str
    """Name of the stage, such as clean."""
    state: StageState = StageState.PENDING
    completed: int = 0
    """Work items that are done."""
    total: int = 0
    """Work items there are."""
    documents_in: int | None = None
    documents_out: int | None = None
    bytes_in: int | None = None
    removed: dict[str, int] | None = None
    """Documents removed, by reason."""
    started_at: str | None = None
    finished_at: str | None = None
    message: str | None = None
    """What a long single step does, or why the stage failed."""
    configuration: str | None = None
    """Hash of what the stage depends on; a stage that succeeded with another one is done again."""
    redone: int = 0
    """Times that the stage was done again because a later one found its output gone."""


class DataPreparation(StatusModel):
    """The data preparation."""

    stages: list[PreparationStage] = Field(default_factory=list)
    documents: int | None = None
    """Documents to train on."""
    tokens: int | None = None
    """Tokens to train on (one pass)."""
    validation_tokens: int | None = None
    augmented_documents: int | None = None
    """Documents made of others (data.augment), which `documents` leaves out."""
    augmented_tokens: int | None = None
    """Tokens of those; `tokens` includes them."""


class SourceSeen(StatusModel):
    """What training has seen of a source."""

    name: str
    sequences: int = 0
    """Consumed sequences; skipped ones don't count."""
    tokens: int = 0
    epochs: float = 0.0
    """Passes over the source."""


class SourcesNotShown(StatusModel):
    """Sources that the status has no room for, together."""

    count: int = 0
    sequences: int = 0
    tokens: int = 0


MAX_SOURCES_SHOWN = 50
"""Sources in the status, and as labels of metrics: those that training has seen most of."""


def shown_sources(seen: list[SourceSeen]) -> tuple[list[SourceSeen], SourcesNotShown | None]:
    """Return the sources to show, in their order, and the rest of them together."""
    if len(seen) <= MAX_SOURCES_SHOWN:
        return seen, None
    names = {source.name for source in sorted(seen, key=lambda one: -one.tokens)[:MAX_SOURCES_SHOWN]}
    rest = [source for source in seen if source.name not in names]
    together = SourcesNotShown(
        count=len(rest), sequences=sum(one.sequences for one in rest), tokens=sum(one.tokens for one in rest)
    )
    return [source for source in seen if source.name in names], together


class TrainingStatus(StatusModel):
    """Where training is; also the fields of a line of metrics.jsonl."""

    step: int | None = None
    total_steps: int | None = None
    sequences: int | None = None
    """Consumed sequences; skipped ones don't count."""
    tokens: int | None = None
    """Consumed tokens."""
    total_tokens: int | None = None
    progress_percentage: float | None = None
    estimated_remaining_seconds: float | None = None
    loss: float | None = None
    """Mean loss of the step's batch, in nats a token: cross-entropy, and what objective and network add; null: not
    finite."""
    validation_loss: float | None = None
    learning_rate: float | None = None
    gradient_norm: float | None = None
    """Global norm before clipping; null: not finite."""
    tokens_per_second: float | None = None
    mfu: float | None = None
    """Model FLOP utilisation, where the accelerator's peak is known."""
    batch_stage: int | None = None
    """Index of the batch stage, from 0."""
    batch_tokens: int | None = None
    num_nodes: int | None = None
    world_size: int | None = None
    sources: list[SourceSeen] | None = None
    """What was seen by source; at most 50, those that training has seen most of."""
    sources_not_shown: SourcesNotShown | None = None
    """The others."""
    last_updated_time: str | None = None


class JobEstimate(StatusModel):
    """What the training will need, as `pretrain estimate` says it, at the last batch stage."""

    parameters: int
    active_parameters: int | None = None
    """What one token passes, where experts are chosen."""
    training_flops: float
    """6CP, with full recomputation 8CP."""
    tokens_per_parameter: float
    gpus: int | None = None
    """Ranks; null where their number depends on the machines."""
    memory_bytes_per_gpu: int
    """Of a rank, without the CUDA context and fragmentation; where the ranks aren't known, of one a node."""
    gpu: str | None = None
    """The accelerator, where the trainer's node selector names it."""
    training_seconds: float | None = None
    """On that accelerator, at `utilization` of its peak."""
    utilization: float | None = None


class CheckpointStatus(StatusModel):
    """A checkpoint."""

    step: int
    tokens: int
    time: str
    uri: str


class Checkpoints(StatusModel):
    """The newest checkpoint, and the newest that proved healthy."""

    latest: CheckpointStatus | None = None
    healthy: CheckpointStatus | None = None


class SequenceRange(StatusModel):
    """Sequences [from, to) of the global sample index."""

    from_: int = Field(alias="from")
    to: int


class RollbackRecord(StatusModel):
    """A rollback and what it skipped."""

    time: str
    reason: str
    detected_at_step: int
    resumed_from_step: int
    skipped_sequences: SequenceRange
    loss: float | None = None
    """Loss that was flagged; null: not finite."""
    baseline: float | None = None
    """Loss that was expected."""
    recovered: bool | None = None
    """Verdict: did the loss return to its baseline? null: not known yet."""


class RefusedRollback(StatusModel):
    """A rollback that a person asked for and that can't be done."""

    id: str
    """Of the request."""
    time: str
    message: str
    """Why, and what to ask for instead."""


class LastRestart(StatusModel):
    """The newest restart."""

    time: str
    reason: str
    node: str = ""
    message: str = ""


class PodEnding(StatusModel):
    """A trainer pod that ended without being asked to."""

    id: str
    """Which life of which pod; each is counted once."""
    time: str
    counted: bool = True


class Restarts(StatusModel):
    """Restarts of the trainer's processes."""

    total: int = 0
    counted: int = 0
    """Those that count against failurePolicy.maxRestarts."""
    last: LastRestart | None = None
    recent: list[PodEnding] = Field(default_factory=list)
    """Endings of pods that may still matter to the budget: within failurePolicy.restartWindowSeconds."""


class StatusSummary(StatusModel):
    """The most important figures as text: the columns of `kubectl get pretrainjobs`."""

    progress: str = ""
    """Share of the training, such as 42 %; before that the stage of the preparation, such as clean 12/64."""
    step: str = ""
    """Step of steps, such as 1200/3000."""
    tokens: str = ""
    """Consumed tokens of all, such as 1.2B/300B."""
    loss: str = ""
    tokens_per_second: str = ""
    estimated_remaining: str = ""
    """Time to the end of training, such as 2d 3h."""


def _summary(preparation: DataPreparation | None, training: TrainingStatus | None) -> StatusSummary:
    if training is None or training.step is None:
        return StatusSummary(progress=_preparation_progress(preparation))
    percentage, remaining = training.progress_percentage, training.estimated_remaining_seconds
    speed = training.tokens_per_second
    return StatusSummary(
        progress=f"{percentage:.1f} %" if percentage is not None else "",
        step=f"{training.step}/{training.total_steps}" if training.total_steps else str(training.step),
        tokens="/".join(humanize_tokens(n) for n in (training.tokens, training.total_tokens) if n is not None),
        loss=f"{training.loss:.3f}" if training.loss is not None else "",
        tokens_per_second=humanize_tokens(speed) if speed is not None else "",
        estimated_remaining=humanize_seconds(remaining) if remaining is not None else "",
    )


def _preparation_progress(preparation: DataPreparation | None) -> str:
    stages = preparation.stages if preparation else []
    current = next((stage for stage in stages if stage.state != StageState.SUCCEEDED), None)
    return f"{current.name} {current.completed}/{current.total}" if current else ""


class PretrainJobStatus(StatusModel):
    """The status as a whole."""

    observed_generation: int = 0
    phase: Phase = Phase.PENDING
    start_time: str | None = None
    completion_time: str | None = None
    suspended_seconds: float = 0.0
    """Time spent suspended; activeDeadlineSeconds doesn't count it."""
    conditions: list[Condition] = Field(default_factory=list)
    data_preparation: DataPreparation | None = None
    estimate: JobEstimate | None = None
    """What the training will need."""
    training: TrainingStatus | None = None
    checkpoints: Checkpoints | None = None
    rollbacks: list[RollbackRecord] = Field(default_factory=list)
    """The newest 20; all of them are in the ledger."""
    refused_rollback: RefusedRollback | None = None
    """The newest request for a rollback, if it can't be done."""
    restarts: Restarts = Field(default_factory=Restarts)
    goodput: float | None = None
    """Useful training time / time since the trainer first started."""

    @computed_field  # type: ignore[prop-decorator]
    @property
    def summary(self) -> StatusSummary:
        """The most important figures as text."""
        return _summary(self.data_preparation, self.training)

    completed_configuration: str | None = None
    """Hash of what the training that completed depended on; null: none has completed."""
    report: PreparationStage | None = None
    """The last stage: writes the report, whether the job completed or failed."""
    fingerprint: str | None = None
    """Hash of the rest of the status: another one means that somebody edited it."""


def seal(status: PretrainJobStatus) -> PretrainJobStatus:
    """Return `status` with its fingerprint."""
    return status.model_copy(update={"fingerprint": _fingerprint(status)})


def is_sealed(status: PretrainJobStatus) -> bool:
    """Is the status as `seal` left it?"""
    return status.fingerprint is not None and status.fingerprint == _fingerprint(status)


def _fingerprint(status: PretrainJobStatus) -> str:
    # Read back first: figures that aren't finite are null then, as they are when the API server gives them back.
    text = status.model_dump_json(by_alias=True, exclude={"fingerprint", "summary"})
    again = PretrainJobStatus.model_validate_json(text).model_dump_json(exclude={"fingerprint", "summary"})
    return hashlib.sha256(again.encode()).hexdigest()[:16]
