"""Batch stages: in order, within the run, and divisible in every stage."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from pretrain_api.problems import Finding, Problem
from pretrain_api.quantities import format_tokens
from pretrain_api.spec.job import PretrainJob
from pretrain_api.spec.training import BatchStage, Training
from pretrain_api.validation.rules.registry import RuleContext, rule
from pretrain_api.world import data_parallel_size, model_parallel_size, nodes_of_stage, processes_per_node

_STAGES = "spec.training.batch.stages"
_WORLD = (
    "spec.training.sequenceLength",
    "spec.training.microBatchSize",
    "spec.training.parallelism",
    "spec.trainer.numNodes",
    "spec.trainer.numProcPerNode",
    "spec.trainer.resourcesPerNode",
)


def _stages(context: RuleContext) -> list[tuple[str, BatchStage]]:
    """Return the stages with their paths."""
    if context.training is None:
        return []
    return [(f"{_STAGES}[{index}]", stage) for index, stage in enumerate(context.training.batch.stages)]


@rule(f"{_STAGES}[0].from")
def first_stage_starts_at_zero(context: RuleContext) -> Iterator[Finding]:
    """The first batch stage starts the run."""
    for path, stage in _stages(context)[:1]:
        if stage.from_ != 0:
            yield Finding(f"{path}.from", f"the first stage starts at {format_tokens(stage.from_)}; write 0")


@rule()
def stages_in_order(context: RuleContext) -> Iterator[Finding]:
    """Each stage starts after the one before."""
    stages = _stages(context)
    for (before_path, before), (path, stage) in pairwise(stages):
        if context.intact(f"{before_path}.from", f"{path}.from") and stage.from_ <= before.from_:
            yield Finding(
                f"{path}.from",
                f"{format_tokens(stage.from_)} is not after the stage before it, which starts at "
                f"{format_tokens(before.from_)}; write more than {format_tokens(before.from_)}, in ascending order",
            )


@rule("spec.training.tokens")
def stages_within_the_run(context: RuleContext) -> Iterator[Finding]:
    """A stage that starts after the end would never run."""
    for path, stage in _stages(context)[1:]:
        total = _total(context)
        if context.intact(f"{path}.from") and stage.from_ >= total:
            yield Finding(
                f"{path}.from",
                f"the stage starts at {format_tokens(stage.from_)}, but training ends at {format_tokens(total)}; "
                f"write less, or raise spec.training.tokens",
            )


@rule("spec.training.tokens")
def batch_within_the_run(context: RuleContext) -> Iterator[Finding]:
    """A batch isn't larger than the whole training."""
    for path, stage in _stages(context):
        if context.intact(f"{path}.tokens") and stage.tokens > _total(context):
            yield Finding(
                f"{path}.tokens",
                f"a batch of {format_tokens(stage.tokens)} is larger than the whole training of "
                f"{format_tokens(_total(context))}; write a smaller batch, or raise spec.training.tokens",
            )


def _total(context: RuleContext) -> int:
    assert context.training is not None
    return context.training.tokens


@rule(*_WORLD)
def batch_is_divisible(context: RuleContext) -> Iterator[Finding]:
    """Every stage's batch is a whole number of micro-batches on every data-parallel rank."""
    processes = processes_per_node(context.spec.trainer)
    for path, stage in _stages(context):
        if context.intact(f"{path}.tokens", f"{path}.numNodes"):
            yield from _divisibility(context.job, path, stage, processes)


def _divisibility(job: PretrainJob, path: str, stage: BatchStage, processes: int | None) -> Iterator[Finding]:
    training = job.spec.training
    assert training is not None
    ranks, ranks_text = _ranks(job, training, stage, processes)
    if ranks is None:
        return
    unit = training.sequence_length * training.micro_batch_size * ranks
    if stage.tokens % unit:
        below = stage.tokens // unit * unit
        nearest = " or ".join(format_tokens(tokens) for tokens in (below, below + unit) if tokens)
        yield Finding(
            f"{path}.tokens",
            f"{_with_count(stage.tokens)} is not a multiple of {unit} = sequenceLength {training.sequence_length} "
            f"x microBatchSize {training.micro_batch_size} x {ranks_text}; write {nearest}",
        )


def _with_count(tokens: int) -> str:
    text = format_tokens(tokens)
    return f"{text} tokens" if text == str(tokens) else f"{text} ({tokens} tokens)"


def _ranks(job: PretrainJob, training: Training, stage: BatchStage, processes: int | None) -> tuple[int | None, str]:
    """Return the data-parallel ranks of a stage, as far as they are known, and their name; None: the layout itself is
    wrong, which is another rule's to say."""
    nodes = nodes_of_stage(job.spec, stage)
    if processes is None:
        # The machine says how many processes there are; each node has at least one.
        if model_parallel_size(training.parallelism) > 1:
            return 1, "1 data-parallel rank at least"
        return nodes, f"{nodes} nodes with at least one rank each"
    ranks = data_parallel_size(nodes * processes, training.parallelism)
    shared = model_parallel_size(training.parallelism)
    how = f" / {shared} that share the model" if shared > 1 else ""
    return ranks, f"{ranks} data-parallel ranks ({nodes} nodes x {processes} processes{how})"


@rule(*_WORLD)
def world_is_divisible(context: RuleContext) -> Iterator[Finding]:
    """Tensor x pipeline divides the ranks of every stage."""
    processes = processes_per_node(context.spec.trainer)
    if context.training is not None and processes is not None:
        yield from _world(context.job, context.training, processes)


def _world(job: PretrainJob, training: Training, processes: int) -> Iterator[Finding]:
    size = model_parallel_size(training.parallelism)
    for index, stage in enumerate(training.batch.stages):
        nodes = nodes_of_stage(job.spec, stage)
        if nodes * processes % size:
            path = f"{_STAGES}[{index}].numNodes" if stage.num_nodes else "spec.training.parallelism"
            yield Finding(
                path,
                f"{nodes} nodes x {processes} processes = {nodes * processes} ranks are not a multiple of "
                f"tensor {training.parallelism.tensor} x pipeline {training.parallelism.pipeline} = {size}; "
                "change the nodes, the processes or the parallelism",
            )


def check_world(job: PretrainJob, processes_per_node: int) -> list[Problem]:
    """Return what is wrong with a job's batch stages on pods (or a machine) of so many processes.

    For an engine that knows the number where the job leaves it to the machine (numProcPerNode: auto without GPUs).
    """
    training = job.spec.training
    if training is None:
        return []
    findings = list(_world(job, training, processes_per_node))
    for index, stage in enumerate(training.batch.stages):
        findings += _divisibility(job, f"{_STAGES}[{index}]", stage, processes_per_node)
    return [Problem(path, message, job=job.metadata.name) for path, message in findings]
