"""What an estimate is asked for: a flat list of choices, from a job or from a published model."""

from __future__ import annotations

from dataclasses import dataclass

from pretrain_api.estimates.activations import COMPILED_KERNELS, TRAINER_KERNELS, Kernels
from pretrain_api.estimates.devices import DEFAULT_DEVICE, DEVICES, Device
from pretrain_api.estimates.families import from_architecture
from pretrain_api.estimates.flops import Recompute
from pretrain_api.estimates.network import Network
from pretrain_api.estimates.published import PublishedModel
from pretrain_api.estimates.scaling_laws import CHINCHILLA_TOKENS_PER_PARAMETER
from pretrain_api.presets import architecture
from pretrain_api.spec.job import PretrainJob
from pretrain_api.world import nodes_of_stage, processes_per_node

DEFAULT_UTILIZATION = 0.4
"""30 to 70 % of the peak is usual."""
LARGE_PARAMETERS = 2_000_000_000
SMALL_BATCH_TOKENS, LARGE_BATCH_TOKENS = 512 * 1024, 4 * 1024 * 1024
"""GPT-2's 512 sequences of 1,024 tokens, and LLaMA's 4 M tokens."""


@dataclass(frozen=True)
class Plan:
    """Everything an estimate depends on."""

    name: str
    network: Network
    tokens: int
    """Consumed tokens."""
    sequence_length: int
    batch_tokens: int
    gpus: int = 8
    device: Device = DEVICES[DEFAULT_DEVICE]
    flops_per_second_per_gpu: float | None = None
    """None: the device's peak in `precision`."""
    utilization: float | None = None
    """Share of that rate which is reached; None: 0.4 of a peak, all of a rate that is given."""
    memory_bytes: float | None = None
    """None: the device's."""
    tensor: int = 1
    pipeline: int = 1
    expert: int = 1
    zero: int = 1
    micro_batch_size: int = 1
    recompute: Recompute | None = None
    """None: none, or what a layout chosen here needs."""
    sequence_parallel: bool = False
    choose_layout: bool = False
    """Take the fastest layout that fits, first of all one that this version can train, instead of the one above."""
    precision: str = "bf16"
    gradient_bytes: int | None = None
    """None: as wide as the weights, or as the trainer holds them."""
    as_trainer: bool = False
    """Count states as this project's trainer holds them (`Numbers`), not as textbooks do."""
    kernels: Kernels = TRAINER_KERNELS
    price_per_gpu_hour: float | None = None
    hours_between_failures: float | None = None
    """Mean time between failures of the whole job; None: by Llama 3's failures a GPU-hour."""
    save_seconds: float | None = None
    """Time a checkpoint keeps training waiting; None: the copy to host memory."""
    restart_seconds: float = 120.0
    """From a failure to the first step after it."""
    storage_bytes_per_second: float = 5e9
    """Rate at which a checkpoint is written."""
    checkpoints_kept: int = 4
    """keepLast of the specification, and the newest healthy one."""
    tokens_note: str = ""
    """Where `tokens` come from, if nobody gave them."""


def plan_of_preset(model: PublishedModel) -> Plan:
    """Return the plan of a published model: its documented tokens, or 20 a parameter where there are none."""
    parameters = model.network.parameters()
    tokens, note = model.training_tokens, "documented"
    if tokens is None:
        tokens = int(CHINCHILLA_TOKENS_PER_PARAMETER * model.network.active_parameters())
        note = "20 a parameter; none are documented"
    return Plan(
        name=model.name,
        network=model.network,
        tokens=tokens,
        sequence_length=model.context_length,
        batch_tokens=LARGE_BATCH_TOKENS if parameters >= LARGE_PARAMETERS else SMALL_BATCH_TOKENS,
        choose_layout=True,
        tokens_note=note,
    )


def plan_of_job(job: PretrainJob) -> Plan:
    """Return the plan of a job, at its last batch stage.

    Raises:
        ValueError: The job doesn't train, or the size of its vocabulary can't be known beforehand.
    """
    spec = job.spec
    if spec.model is None or spec.training is None:
        raise ValueError("the job has no model or no training; there is nothing to estimate")
    training = spec.training
    last = training.batch.stages[-1]
    return Plan(
        name=job.metadata.name,
        network=_network_of_job(job),
        tokens=training.tokens,
        sequence_length=training.sequence_length,
        batch_tokens=last.tokens,
        gpus=nodes_of_stage(spec, last) * (processes_per_node(spec.trainer) or 1),
        tensor=training.parallelism.tensor,
        pipeline=training.parallelism.pipeline,
        expert=training.parallelism.expert,
        zero=training.parallelism.zero,
        micro_batch_size=training.micro_batch_size,
        recompute=training.activation_checkpointing,
        precision=training.precision,
        kernels=COMPILED_KERNELS if training.compile else TRAINER_KERNELS,
        as_trainer=True,
        checkpoints_kept=spec.checkpoint.keep_last + 1,
    )


def _network_of_job(job: PretrainJob) -> Network:
    model = job.spec.model
    assert model is not None
    shape = architecture(model)
    trained = job.spec.data.tokenizer.train
    rows = shape.vocab_size or (trained.vocab_size if trained else None)
    if rows is None:
        raise ValueError("spec.model.vocabSize: the tokenizer's vocabulary isn't known beforehand; set vocabSize")
    positions = job.spec.training.sequence_length if job.spec.training else 0
    pairs = any(part.sentence_pairs for part in job.spec.objective.parts)
    return from_architecture(shape, rows, positions, pretraining_heads=pairs)
