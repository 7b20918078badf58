"""Putting a run together from its job."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

import torch

from pretrain_api.schedule import BatchSchedule, batch_schedule
from pretrain_api.spec.job import PretrainJobSpec
from pretrain_api.spec.training import Stability, Training
from pretrain_api.wire import Blend, StorageLayout
from pretrain_trainer.checkpoint.manager import CheckpointManager
from pretrain_trainer.checkpoint.snapshot import InitialState, load_state
from pretrain_trainer.data.dataset import TrainingData, ValidationData, read_blend
from pretrain_trainer.engine.process_group import ProcessGroup
from pretrain_trainer.engine.training_engine import TrainingEngine
from pretrain_trainer.environment import RankEnvironment
from pretrain_trainer.errors import InvalidConfiguration
from pretrain_trainer.models.families import build_model, count_parameters, flops_per_token, initialize
from pretrain_trainer.records.clock import SpeedMeter, peak_flops
from pretrain_trainer.records.progress import Heartbeat
from pretrain_trainer.records.run_records import RunRecords
from pretrain_trainer.stability.detector import SpikeDetector
from pretrain_trainer.step import RankSignals, StepRunner
from pretrain_trainer.stopping import StopRequest
from pretrain_trainer.trajectory import trajectory_hashes

logger = logging.getLogger(__name__)


@dataclass
class Parts:
    """What a run is made of."""

    spec: PretrainJobSpec
    training: Training
    stability: Stability
    schedule: BatchSchedule
    storage: StorageLayout
    blend: Blend
    validation: ValidationData
    engine: TrainingEngine
    detector: SpikeDetector
    runner: StepRunner
    checkpoints: CheckpointManager
    records: RunRecords
    trajectory: dict[str, str]
    description: str
    beat: Callable[[], None]

    def load_initial_state(self) -> None:
        """Put the engine in the state in which training began; a collective."""
        load_state(self.engine, InitialState(self.engine.module, self.training.seed))


def assemble(
    environment: RankEnvironment,
    spec: PretrainJobSpec,
    group: ProcessGroup,
    heartbeat: Heartbeat,
    stop: StopRequest,
) -> Parts:
    """Open the data, build the model, hand it to the engine; a collective.

    Raises:
        InvalidConfiguration: The job asks for what can't be.
        InvalidData: The token files are missing, damaged or too small.
    """
    training = checked_training(spec, group.world_size)
    storage = StorageLayout(environment.storage)
    blend = read_blend(storage)
    schedule = batch_schedule(training)
    length = training.sequence_length
    data = TrainingData(blend, storage.root, length, training.seed)
    validation = ValidationData(blend, storage.root, length, training.evaluation.max_sequences)
    heartbeat.beat()
    engine = build_engine(spec, training, schedule, blend.vocab_size, group)
    heartbeat.beat()
    records = RunRecords(environment, storage, schedule, speed_meter(engine, length))
    checkpoints = CheckpointManager(engine, storage, spec.checkpoint, records.event, heartbeat.beat)
    detector = SpikeDetector(spec.stability.spike)

    def signals() -> RankSignals:
        written, failed = checkpoints.writer.part_state()
        return RankSignals(float(stop.requested), float(checkpoints.clock_due()), float(written), float(failed))

    runner = StepRunner(engine, data, detector, spec.stability, signals, heartbeat.beat)
    size = count_parameters(engine.module)
    return Parts(
        spec=spec,
        training=training,
        stability=spec.stability,
        schedule=schedule,
        storage=storage,
        blend=blend,
        validation=validation,
        engine=engine,
        detector=detector,
        runner=runner,
        checkpoints=checkpoints,
        records=records,
        trajectory=trajectory_hashes(spec, training, blend),
        description=f"{size / 1e6:.1f} M parameters on {group.world_size} ranks, {schedule.total_steps} steps",
        beat=heartbeat.beat,
    )


def checked_training(spec: PretrainJobSpec, world_size: int) -> Training:
    """Return `spec.training`, if these ranks can carry it out.

    Raises:
        InvalidConfiguration: They can't.
    """
    training = spec.training
    if training is None or spec.model is None:
        raise InvalidConfiguration("spec.model and spec.training must be set to train")
    if spec.objective.type != "causal-lm":
        raise InvalidConfiguration(f"spec.objective.type: {spec.objective.type} is not available yet; use causal-lm")
    parallelism = training.parallelism
    if max(parallelism.tensor, parallelism.pipeline, parallelism.expert) > 1 or parallelism.offload == "nvme":
        raise InvalidConfiguration("spec.training.parallelism: tensor, pipeline, expert and nvme are not available yet")
    micro_batch_tokens = training.micro_batch_size * world_size * training.sequence_length
    for index, stage in enumerate(training.batch.stages):
        if stage.tokens % micro_batch_tokens:
            raise InvalidConfiguration(
                f"spec.training.batch.stages[{index}].tokens: {stage.tokens} is not a multiple of {micro_batch_tokens} "
                f"(microBatchSize {training.micro_batch_size} x {world_size} ranks x sequenceLength "
                f"{training.sequence_length}); choose a multiple, or another number of ranks"
            )
    return training


def build_engine(
    spec: PretrainJobSpec, training: Training, schedule: BatchSchedule, vocab_size: int, group: ProcessGroup
) -> TrainingEngine:
    """Return the engine with freshly initialised weights; a collective."""
    assert spec.model is not None
    torch.manual_seed(training.seed + group.rank)
    if training.precision == "tf32":
        torch.set_float32_matmul_precision("high")
    model = build_model(spec.model, vocab_size, training.sequence_length, training.activation_checkpointing)
    initialize(model, training.seed)
    batch = schedule.spans[0].batch_sequences
    return TrainingEngine(model, training, batch // (training.micro_batch_size * group.world_size), group)


def speed_meter(engine: TrainingEngine, sequence_length: int) -> SpeedMeter:
    """Return the meter that knows what a token costs."""
    world_size = engine.group.world_size
    peak = peak_flops(torch.cuda.get_device_name()) if engine.group.on_gpu else None
    return SpeedMeter(flops_per_token(engine.module, sequence_length), peak * world_size if peak else None)
