"""One optimiser step: micro-batches, agreement of the ranks, judgement, update."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from pretrain_api.spec.training import Stability
from pretrain_trainer.data.sample_index import SkipList
from pretrain_trainer.engine.training_engine import TrainingEngine, as_tensors
from pretrain_trainer.objectives.reading import TrainingBatches
from pretrain_trainer.position import Position
from pretrain_trainer.stability.detector import Judgement, SpikeDetector
from pretrain_trainer.stability.ladder import Action, choose_action


@dataclass(frozen=True)
class RankSignals:
    """What the ranks tell each other at each step; added up over all of them."""

    stop: float = 0.0
    """Ranks that were told to stop."""
    checkpoint_due: float = 0.0
    """1 from rank 0 when its clock says so."""
    part_written: float = 0.0
    """Ranks whose part of the pending checkpoint is on disk."""
    part_failed: float = 0.0
    """Ranks whose part couldn't be written."""


@dataclass(frozen=True)
class StepReport:
    """What came of a step; the same on all ranks."""

    loss: float
    gradient_norm: float
    judgement: Judgement
    action: Action
    signals: RankSignals


class StepRunner:
    """Does steps. The judgement falls when the gradients are there, before the weights change."""

    def __init__(
        self,
        engine: TrainingEngine,
        batches: TrainingBatches,
        detector: SpikeDetector,
        stability: Stability,
        read_signals: Callable[[], RankSignals],
        beat: Callable[[], None],
    ) -> None:
        self._engine, self._batches, self._detector, self._stability = engine, batches, detector, stability
        self._read_signals, self._beat = read_signals, beat
        self._losses: list[Tensor] = []
        self._report: StepReport | None = None
        self._step = 0
        engine.set_guard(self._update_factor)

    def run(self, position: Position, batch_sequences: int, learning_rate: float, skips: SkipList) -> StepReport:
        """Do the step that begins at `position`; a collective."""
        accumulation = self._engine.set_batch_sequences(batch_sequences)
        self._engine.set_learning_rate(learning_rate)
        self._losses, self._report, self._step = [], None, position.step + 1
        for micro_batch in range(accumulation):
            batch = self._micro_batch(position.sequences, micro_batch, skips)
            self._losses.append(self._engine.backward(batch, last=micro_batch == accumulation - 1))
            self._engine.step()
            self._beat()
        if self._report is None:  # DeepSpeed found the gradients not finite and never came to the update
            self._report = self._judge()
        return self._report

    def _micro_batch(self, first: int, micro_batch: int, skips: SkipList) -> dict[str, Tensor]:
        group, size = self._engine.group, self._engine.training.micro_batch_size
        start = first + (micro_batch * group.world_size + group.rank) * size
        return as_tensors(self._batches.read_consumed(start, size, skips), group.device)

    def _update_factor(self) -> float:
        if self._report is None:
            self._report = self._judge()
        return 1.0 if self._report.action is Action.APPLY else 0.0

    def _judge(self) -> StepReport:
        mean = float(torch.stack(self._losses).double().mean())
        mine = self._read_signals()
        total, *sums = self._engine.group.sum(
            [mean, mine.stop, mine.checkpoint_due, mine.part_written, mine.part_failed]
        )
        loss, norm = total / self._engine.group.world_size, self._engine.gradient_norm()
        rescaled = self._engine.overflowed() and self._engine.loss_scale() is not None
        # FP16 overflows now and then, and lowers its loss scale.
        judgement = self._detector.observe(self._step, loss, None if rescaled else norm)
        action = choose_action(self._stability, judgement, self._detector.flagged_streak)
        return StepReport(loss, norm, judgement, action, RankSignals(*sums))
