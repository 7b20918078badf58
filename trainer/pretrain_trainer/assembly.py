"""Putting a run together from its job."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from pretrain_api.objectives import kind_of_family
from pretrain_api.presets import architecture
from pretrain_api.schedule import BatchSchedule, batch_schedule
from pretrain_api.spec.job import PretrainJobSpec
from pretrain_api.spec.training import Stability, Training
from pretrain_api.wire import Blend, StorageLayout
from pretrain_trainer.checkpoint.layout import TrainerState
from pretrain_trainer.checkpoint.manager import CheckpointManager
from pretrain_trainer.checkpoint.snapshot import InitialState, load_state
from pretrain_trainer.data.accounting import Accounting
from pretrain_trainer.data.dataset import TrainingData, ValidationData, read_blend
from pretrain_trainer.engine.process_group import ProcessGroup
from pretrain_trainer.engine.training_engine import TrainingEngine
from pretrain_trainer.environment import RankEnvironment
from pretrain_trainer.errors import InvalidConfiguration
from pretrain_trainer.models.families import build_model, count_parameters, flops_per_token, initialize
from pretrain_trainer.objectives.builder import BatchBuilder
from pretrain_trainer.objectives.reading import TrainingBatches, ValidationBatches
from pretrain_trainer.objectives.vocabulary import read_vocabulary
from pretrain_trainer.questions import Questions, read_questions
from pretrain_trainer.records.clock import SpeedMeter, peak_flops
from pretrain_trainer.records.progress import Heartbeat
from pretrain_trainer.records.run_records import RunRecords
from pretrain_trainer.stability.detector import SpikeDetector
from pretrain_trainer.step import RankSignals, StepRunner
from pretrain_trainer.stopping import StopRequest
from pretrain_trainer.trajectory import check_trajectory, trajectory_hashes

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
    validation: ValidationBatches
    questions: list[Questions]
    engine: TrainingEngine
    stop: StopRequest
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
    training = checked_training(spec, group.world_size, environment.num_nodes)
    storage = StorageLayout(environment.storage)
    blend = read_blend(storage)
    schedule = batch_schedule(training)
    length = training.sequence_length
    builder = batch_builder(spec, training, blend, storage)
    data = TrainingData(blend, storage.root, length, training.seed, builder.shape.window)
    held_back = ValidationData(blend, storage.root, builder.shape.window, training.evaluation.max_sequences)
    questions = read_questions(training.evaluation, storage, blend, length)
    heartbeat.beat()
    engine = build_engine(spec, training, schedule, blend.vocab_size, group)
    heartbeat.beat()
    meter = speed_meter(engine, length)
    records = RunRecords(environment, storage, schedule, meter, Accounting(data, length))
    trajectory = trajectory_hashes(spec, training, blend)

    def check(state: TrainerState, where: Path) -> None:
        check_trajectory(state, trajectory, schedule, where)

    checkpoints = CheckpointManager(engine, storage, spec.checkpoint, records.event, heartbeat.beat, check)
    detector = SpikeDetector(spec.stability.spike)

    def signals() -> RankSignals:
        written, failed = checkpoints.writer.part_state()
        return RankSignals(float(stop.requested), float(checkpoints.clock_due()), float(written), float(failed))

    runner = StepRunner(engine, TrainingBatches(data, builder), detector, spec.stability, signals, heartbeat.beat)
    size = count_parameters(engine.module)
    return Parts(
        spec=spec,
        training=training,
        stability=spec.stability,
        schedule=schedule,
        storage=storage,
        blend=blend,
        validation=ValidationBatches(held_back, builder),
        questions=questions,
        engine=engine,
        stop=stop,
        detector=detector,
        runner=runner,
        checkpoints=checkpoints,
        records=records,
        trajectory=trajectory,
        description=f"{size / 1e6:.1f} M parameters on {group.world_size} ranks, {schedule.total_steps} steps",
        beat=heartbeat.beat,
    )


def batch_builder(spec: PretrainJobSpec, training: Training, blend: Blend, storage: StorageLayout) -> BatchBuilder:
    """Return what makes batches of the job's objective.

    Raises:
        InvalidConfiguration: The tokenizer lacks what the objective needs.
    """
    family = architecture(spec.model).family if spec.model else None
    vocabulary = read_vocabulary(blend, storage, spec.objective)
    kind = kind_of_family(family)
    return BatchBuilder(spec.objective, kind, training.sequence_length, vocabulary, training.seed)


def checked_training(spec: PretrainJobSpec, world_size: int, num_nodes: int) -> Training:
    """Return `spec.training`, if these ranks can carry out the batch stages that are meant for so many nodes.

    Raises:
        InvalidConfiguration: They can't.
    """
    training = spec.training
    if training is None or spec.model is None:
        raise InvalidConfiguration("spec.model and spec.training must be set to train")
    parallelism = training.parallelism
    if max(parallelism.tensor, parallelism.pipeline, parallelism.expert) > 1 or parallelism.offload == "nvme":
        raise InvalidConfiguration("spec.training.parallelism: tensor, pipeline, expert and nvme are not available yet")
    micro_batch_tokens = training.micro_batch_size * world_size * training.sequence_length
    for index, stage in enumerate(training.batch.stages):
        ours = wanted_nodes(spec, stage.num_nodes) in (None, num_nodes)
        if ours and stage.tokens % micro_batch_tokens:
            raise InvalidConfiguration(
                f"spec.training.batch.stages[{index}].tokens: {stage.tokens} is not a multiple of {micro_batch_tokens} "
                f"(microBatchSize {training.micro_batch_size} x {world_size} ranks x sequenceLength "
                f"{training.sequence_length}); choose a multiple, or another number of ranks"
            )
    return training


def wanted_nodes(spec: PretrainJobSpec, stage_nodes: int | None) -> int | None:
    """Return how many nodes a batch stage wants whose `numNodes` is given; None where no stage of the job says."""
    if spec.training is None or all(stage.num_nodes is None for stage in spec.training.batch.stages):
        return None
    return stage_nodes or spec.trainer.num_nodes


def build_engine(
    spec: PretrainJobSpec, training: Training, schedule: BatchSchedule, vocab_size: int, group: ProcessGroup
) -> TrainingEngine:
    """Return the engine with freshly initialised weights; a collective."""
    assert spec.model is not None
    torch.manual_seed(training.seed + group.rank)
    if training.precision == "tf32":
        torch.set_float32_matmul_precision("high")
    length, recompute = training.sequence_length, training.activation_checkpointing
    model = build_model(spec.model, vocab_size, length, recompute, objective=spec.objective)
    initialize(model, training.seed)
    batch = schedule.spans[0].batch_sequences
    accumulation = max(1, batch // (training.micro_batch_size * group.world_size))  # the first stage may be over
    return TrainingEngine(model, training, accumulation, group)


def speed_meter(engine: TrainingEngine, sequence_length: int) -> SpeedMeter:
    """Return the meter that knows what a token costs."""
    world_size = engine.group.world_size
    peak = peak_flops(torch.cuda.get_device_name()) if engine.group.on_gpu else None
    return SpeedMeter(flops_per_token(engine.module, sequence_length), peak * world_size if peak else None)
