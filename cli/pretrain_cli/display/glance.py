"""The status of a job at a glance: where it is, what is wrong and what to do, then every figure in its place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rich.text import Text

from pretrain_api.names import ConditionType, Phase, Reason, StageState
from pretrain_api.quantities import humanize_seconds, humanize_tokens
from pretrain_api.status import (
    CheckpointStatus,
    JobEstimate,
    PreparationStage,
    PretrainJobStatus,
    RollbackRecord,
    TrainingStatus,
)
from pretrain_cli.display.words import count, loss, plural
from pretrain_operator.planning.conditions import get_condition, is_true, parse_timestamp

BAR_WIDTH = 30
LABEL_WIDTH = 13
SILENT_OPERATOR_SECONDS = 15.0
STALE_PROGRESS_SECONDS = 120.0
MOST_SOURCES = 8
_PHASE_STYLES = {
    Phase.COMPLETED: "bold green",
    Phase.FAILED: "bold red",
    Phase.TRAINING: "bold cyan",
    Phase.PREPARING: "bold cyan",
    Phase.SUSPENDED: "bold yellow",
    Phase.SUSPENDING: "bold yellow",
}
_MARKS = {
    StageState.PENDING: ("·", "dim"),
    StageState.RUNNING: ("▸", "cyan"),
    StageState.SUCCEEDED: ("✓", "green"),
    StageState.FAILED: ("✗", "red"),
}
_ORDINARY = frozenset(
    {
        Reason.PREPARING,
        Reason.STARTING,
        Reason.TRAINING,
        Reason.RESCALING,
        Reason.SUSPENDED,
        Reason.COMPLETED,
        Reason.REPORTING,
        Reason.NOT_RUNNING,
        Reason.NO_PREPARATION,
    }
)
"""Reasons of Running=False that are nothing to worry about."""


@dataclass(frozen=True)
class Glance:
    """A job to look at."""

    name: str
    where: str
    """Such as "namespace research", or a directory."""
    document: dict[str, Any]
    """The PretrainJob."""
    status: PretrainJobStatus
    now: datetime
    note: str = ""
    """What only the caller knows, such as that no process works on it; with what to do after a semicolon."""

    @property
    def spec(self) -> dict[str, Any]:
        """The job's spec."""
        spec: dict[str, Any] = self.document.get("spec") or {}
        return spec


def glance_lines(glance: Glance) -> list[Text]:
    """Return the lines to show."""
    status = glance.status
    lines = [_heading(glance)]
    for trouble in troubles(glance):
        why, _, remedy = trouble.rpartition("; ") if "; " in trouble else (trouble, "", "")
        lines.append(Text.assemble(("  wrong: ", "bold red"), why))
        if remedy:
            lines.append(Text.assemble(("  do:    ", "bold"), remedy))
    lines.append(Text())
    for label, texts in _sections(glance, status):
        for index, text in enumerate(texts):
            lines.append(Text.assemble((f"{'' if index else label:<{LABEL_WIDTH}} ", "bold"), text))
    return lines


def troubles(glance: Glance) -> list[str]:
    """Return what is wrong, a line each as `what is wrong; what to do`."""
    found = list(_troubles(glance))
    if glance.note:
        found.append(glance.note)
    return list(dict.fromkeys(" ".join(text.split()) for text in found if text))


def _troubles(glance: Glance) -> Iterator[str]:
    status = glance.status
    valid = get_condition(status, ConditionType.VALID)
    if valid is not None and (valid.status == "False" or valid.reason == Reason.INVALID_ANNOTATION):
        yield from valid.message.splitlines()
    failed = get_condition(status, ConditionType.FAILED)
    if failed is not None and failed.status == "True":
        yield failed.message or failed.reason
        return
    suspended = get_condition(status, ConditionType.SUSPENDED)
    if suspended is not None and suspended.status == "True" and suspended.reason != Reason.SUSPENDED:
        yield suspended.message or suspended.reason
        return
    running = get_condition(status, ConditionType.RUNNING)
    unusual = running is not None and running.status == "False" and running.reason not in _ORDINARY
    if running is not None and unusual and not (valid is not None and valid.status == "False"):
        yield f"{running.reason}: {running.message}" if running.message else running.reason
    if status.report is not None and status.report.state is StageState.FAILED:
        yield f"the report couldn't be written: {status.report.message}"
    yield from _silence(glance)


def _silence(glance: Glance) -> Iterator[str]:
    """The operator, or the trainer, has said nothing for long."""
    metadata = glance.document.get("metadata") or {}
    created = metadata.get("creationTimestamp")
    behind = glance.status.observed_generation < int(metadata.get("generation") or 0)
    if behind and created and _age(created, glance.now) > SILENT_OPERATOR_SECONDS:
        yield (
            "no operator has looked at this version of the job; see whether one runs: "
            "kubectl get pods -A -l app.kubernetes.io/name=pretrain-operator"
        )
    training = glance.status.training
    if glance.status.phase is Phase.TRAINING and training is not None and training.last_updated_time:
        silent = _age(training.last_updated_time, glance.now)
        if silent > STALE_PROGRESS_SECONDS and not glance.note:
            yield f"no progress was seen for {humanize_seconds(silent)}; look into `pretrain logs {glance.name}`"


def _heading(glance: Glance) -> Text:
    status = glance.status
    facts = [glance.where]
    if status.start_time:
        end = parse_timestamp(status.completion_time) if status.completion_time else glance.now
        took = (end - parse_timestamp(status.start_time)).total_seconds()
        facts.append(
            f"{'took' if status.completion_time else 'started'} {humanize_seconds(max(0.0, took))}"
            f"{'' if status.completion_time else ' ago'}"
        )
    phase = str(status.phase)
    if is_true(status, ConditionType.SUSPENDED) and status.phase is Phase.SUSPENDED:
        condition = get_condition(status, ConditionType.SUSPENDED)
        if condition is not None and condition.last_transition_time:
            facts.append(f"suspended for {_ago(condition.last_transition_time, glance.now)}")
    return Text.assemble(
        (glance.name, "bold"),
        "  ",
        (phase, _PHASE_STYLES.get(status.phase, "bold yellow")),
        "  ",
        (", ".join(facts), "dim"),
    )


def _sections(glance: Glance, status: PretrainJobStatus) -> Iterator[tuple[str, list[Text]]]:
    if status.data_preparation is not None and status.data_preparation.stages:
        yield "preparation", _preparation(status.data_preparation.stages)
    if status.data_preparation is not None and status.data_preparation.tokens is not None:
        yield "data", [Text(_data(status))]
    if status.estimate is not None:
        yield "estimate", [Text(text) for text in _estimate(status.estimate)]
    if status.training is not None:
        yield "training", _training(status.training, status.phase)
        if status.training.batch_stage is not None:
            yield "batch stage", [Text(_batch_stage(glance.spec, status.training))]
        if status.training.sources and len(status.training.sources) > 1:
            yield "sources", [Text(text) for text in _sources(status.training)]
    if status.checkpoints is not None and status.checkpoints.latest is not None:
        yield "checkpoints", [Text(_checkpoints(status, glance.now))]
    yield from _incidents(glance, status)
    if status.goodput is not None:
        yield "goodput", [Text(f"{status.goodput:.1%} of the time since the trainer first started was useful training")]
    if status.report is not None:
        yield "report", [Text(_report(glance, status.report))]


def _incidents(glance: Glance, status: PretrainJobStatus) -> Iterator[tuple[str, list[Text]]]:
    if status.rollbacks:
        yield "rollbacks", [Text(text) for text in _rollbacks(status.rollbacks, glance.now)]
    if (refused := status.refused_rollback) is not None:
        yield "refused", [Text(f"rollback: {refused.message} ({_ago(refused.time, glance.now)} ago)")]
    if status.restarts.total:
        yield "restarts", [Text(text) for text in _restarts(glance, status)]


def _preparation(stages: list[PreparationStage]) -> list[Text]:
    width = max(len(stage.name) for stage in stages)
    items = max(len(f"{stage.completed}/{stage.total}") for stage in stages)
    lines = []
    for stage in stages:
        mark, style = _MARKS[stage.state]
        text = f" {stage.name:<{width}}  {f'{stage.completed}/{stage.total}':>{items}}"
        lines.append(Text.assemble((mark, style), text, (_funnel(stage), "dim")))
    return lines


def _funnel(stage: PreparationStage) -> str:
    parts = []
    if stage.documents_in and stage.documents_out is not None and stage.documents_out != stage.documents_in:
        parts.append(f"{stage.documents_in:,} → {plural(stage.documents_out, 'document')}")
    elif stage.documents_in:
        parts.append(plural(stage.documents_in, "document"))
    if stage.removed:
        most = sorted(stage.removed, key=lambda reason: (-stage.removed[reason] if stage.removed else 0, reason))[:3]
        parts.append("removed: " + ", ".join(f"{reason} {stage.removed[reason]:,}" for reason in most))
    if stage.message:
        parts.append(stage.message)
    return f"  {', '.join(parts)}" if parts else ""


def _data(status: PretrainJobStatus) -> str:
    data = status.data_preparation
    assert data is not None
    assert data.tokens is not None
    text = f"{count(data.tokens)} tokens to train on"
    if data.documents is not None:
        text += f" in {plural(data.documents, 'document')}"
    if data.augmented_documents is not None:
        text += f" and {data.augmented_documents:,} made of them ({count(data.augmented_tokens or 0)} tokens)"
    if data.validation_tokens:
        text += f", {count(data.validation_tokens)} to validate"
    return text


def _estimate(figures: JobEstimate) -> Iterator[str]:
    """What the training will need."""
    size = f"{humanize_tokens(figures.parameters)} parameters"
    if figures.active_parameters is not None:
        size += f", {humanize_tokens(figures.active_parameters)} of them active"
    yield f"{size}, {figures.tokens_per_parameter:,.3g} tokens a parameter, {figures.training_flops:.3g} FLOPs"
    line = f"{figures.memory_bytes_per_gpu / 1e9:,.3g} GB a rank"
    line += f" on {plural(figures.gpus, 'rank')}" if figures.gpus is not None else ""
    if figures.training_seconds is not None and figures.gpu is not None:
        took = humanize_seconds(figures.training_seconds)
        line += f", {took} on {figures.gpu} at {figures.utilization or 0:.0%} of the peak"
    yield line


def _training(training: TrainingStatus, phase: Phase) -> list[Text]:
    share = (training.progress_percentage or 0.0) / 100
    full = min(BAR_WIDTH, int(share * BAR_WIDTH))
    steps = f"step {training.step or 0:,}" + (f"/{training.total_steps:,}" if training.total_steps else "")
    tokens = "/".join(humanize_tokens(n) for n in (training.tokens, training.total_tokens) if n is not None)
    first = Text.assemble(
        ("█" * full, "cyan"),
        ("░" * (BAR_WIDTH - full), "dim"),
        f" {share:6.1%}  {steps}",
        f", {tokens} tokens" if tokens else "",
    )
    figures, speed = _figures(training), _speed(training, phase)
    return [first, *(Text(", ".join(parts)) for parts in (figures, speed) if parts)]


def _figures(training: TrainingStatus) -> list[str]:
    parts = [f"loss {loss(training.loss)}"] if training.loss is not None else []
    if training.validation_loss is not None:
        parts.append(f"validation loss {loss(training.validation_loss)}")
    if training.gradient_norm is not None:
        parts.append(f"gradient norm {training.gradient_norm:.3g}")
    if training.learning_rate is not None:
        parts.append(f"learning rate {training.learning_rate:.2e}")
    return parts


def _speed(training: TrainingStatus, phase: Phase) -> list[str]:
    parts = [f"{count(training.tokens_per_second)} tokens/s"] if training.tokens_per_second else []
    if training.mfu is not None:
        parts.append(f"MFU {training.mfu:.1%}")
    if training.estimated_remaining_seconds and phase is not Phase.COMPLETED:
        parts.append(f"{humanize_seconds(training.estimated_remaining_seconds)} left")
    return parts


def _batch_stage(spec: dict[str, Any], training: TrainingStatus) -> str:
    stages = ((spec.get("training") or {}).get("batch") or {}).get("stages") or []
    text = f"{(training.batch_stage or 0) + 1}" + (f" of {len(stages)}" if stages else "")
    if training.batch_tokens:
        text += f": {humanize_tokens(training.batch_tokens)} tokens a step"
    if training.num_nodes:
        text += f", {plural(training.num_nodes, 'node')}"
    if training.world_size:
        text += f", {plural(training.world_size, 'rank')}"
    return text


def _sources(training: TrainingStatus) -> Iterator[str]:
    """What training has seen, the most of it first."""
    seen = sorted(training.sources or [], key=lambda source: -source.tokens)
    rest = training.sources_not_shown
    total = sum(source.tokens for source in seen) + (rest.tokens if rest else 0)
    width = max(len(source.name) for source in seen[:MOST_SOURCES])
    for source in seen[:MOST_SOURCES]:
        share, tokens = source.tokens / max(1, total), humanize_tokens(source.tokens)
        yield f"{source.name:<{width}}  {share:6.1%}  {tokens} tokens, {source.epochs:.2f} epochs"
    more = len(seen[MOST_SOURCES:]) + (rest.count if rest else 0)
    if more:
        others = total - sum(source.tokens for source in seen[:MOST_SOURCES])
        yield f"{plural(more, 'more source')}: {humanize_tokens(others)} tokens"


def _checkpoints(status: PretrainJobStatus, now: datetime) -> str:
    assert status.checkpoints is not None
    latest, healthy = status.checkpoints.latest, status.checkpoints.healthy
    assert latest is not None
    text = f"newest: {_checkpoint(latest, now)}"
    if healthy is None:
        return f"{text}; none has proved healthy yet"
    return f"{text}, healthy" if healthy.step == latest.step else f"{text}; newest healthy: {_checkpoint(healthy, now)}"


def _checkpoint(checkpoint: CheckpointStatus, now: datetime) -> str:
    return f"step {checkpoint.step:,} ({_ago(checkpoint.time, now)} ago)"


def _rollbacks(rollbacks: list[RollbackRecord], now: datetime) -> Iterator[str]:
    yield f"{len(rollbacks)}, newest first" if len(rollbacks) > 1 else "1"
    for record in reversed(rollbacks[-3:]):
        skipped = record.skipped_sequences
        verdict = {True: ", loss recovered", False: ", loss did not recover", None: ""}[record.recovered]
        yield (
            f"{record.reason} at step {record.detected_at_step:,} → step {record.resumed_from_step:,}, "
            f"{plural(max(0, skipped.to - skipped.from_), 'sequence')} skipped{verdict} ({_ago(record.time, now)} ago)"
        )


def _restarts(glance: Glance, status: PretrainJobStatus) -> Iterator[str]:
    limit = (glance.spec.get("failurePolicy") or {}).get("maxRestarts")
    counted = f"{status.restarts.counted} counted" + (f" of {limit} allowed" if limit is not None else "")
    yield f"{status.restarts.total} ({counted})"
    if (last := status.restarts.last) is not None:
        node = f" on {last.node}" if last.node else ""
        message = f": {' '.join(last.message.split())}" if last.message else ""
        yield f"last: {last.reason}{node}, {_ago(last.time, glance.now)} ago{message}"


def _report(glance: Glance, report: PreparationStage) -> str:
    if report.state is StageState.SUCCEEDED:
        return f"written; `pretrain report {glance.name}` fetches it"
    return {StageState.RUNNING: "is being written", StageState.FAILED: "failed"}.get(report.state, "comes at the end")


def _age(time: str, now: datetime) -> float:
    return max(0.0, (now - parse_timestamp(time)).total_seconds())


def _ago(time: str, now: datetime) -> str:
    return humanize_seconds(_age(time, now))
