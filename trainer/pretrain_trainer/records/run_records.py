"""Everything a run writes down about itself. Only rank 0 writes; on the others every method does nothing."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, field
from typing import Any

from pretrain_api.names import LedgerEvent
from pretrain_api.schedule import BatchSchedule, StageSpan
from pretrain_api.status import Checkpoints, RefusedRollback, RollbackRecord, TrainingStatus, shown_sources
from pretrain_api.wire import StorageLayout, TrainerProgress
from pretrain_trainer.data.accounting import Accounting
from pretrain_trainer.data.sample_index import SkipList
from pretrain_trainer.environment import RankEnvironment
from pretrain_trainer.ledger import append_event, read_events, utc_now
from pretrain_trainer.position import Position
from pretrain_trainer.records.clock import SpeedMeter, wall_seconds
from pretrain_trainer.records.lines import StepLines, move_discarded
from pretrain_trainer.records.progress import ProgressFile
from pretrain_trainer.step import StepReport

MAX_ROLLBACKS_SHOWN = 20
_NOT_A_LINE = {"validation_loss", "sources", "sources_not_shown"}
"""Fields of the status that a step's line doesn't repeat."""
_WITH_SOURCES = (LedgerEvent.CHECKPOINT, LedgerEvent.SUSPEND, LedgerEvent.ROLLBACK, LedgerEvent.COMPLETE)
"""Events that say what was seen by source."""
logger = logging.getLogger(__name__)


def finite(value: float) -> float | None:
    """Return the value; None if it isn't finite, as JSON has no word for that."""
    return value if math.isfinite(value) else None


@dataclass
class RunRecords:
    """Metrics, evaluations, ledger and progress of a run."""

    environment: RankEnvironment
    storage: StorageLayout
    schedule: BatchSchedule
    speed: SpeedMeter
    accounting: Accounting
    status: TrainingStatus = field(default_factory=TrainingStatus)
    checkpoints: Checkpoints = field(default_factory=Checkpoints)
    rollbacks: list[RollbackRecord] = field(default_factory=list)
    refused_rollback: RefusedRollback | None = None
    state: str = "Starting"

    def __post_init__(self) -> None:
        self.is_main = self.environment.rank == 0
        self.metrics = StepLines(self.storage.metrics)
        self.evaluations = StepLines(self.storage.evaluations)
        self._progress = ProgressFile(self.environment)
        self._position = Position(0, 0, self.schedule.sequence_length)
        self._skips = SkipList()
        self.status = TrainingStatus(
            total_steps=self.schedule.total_steps,
            total_tokens=self.schedule.total_tokens,
            world_size=self.environment.world_size,
            num_nodes=self.environment.num_nodes,
        )

    def event(self, event: LedgerEvent, message: str, **fields: Any) -> None:
        """Add a line to the ledger."""
        if not self.is_main:
            return
        logger.info("%s: %s", event, message)
        if event in _WITH_SOURCES:
            fields["sources"] = self._sources_seen()
        append_event(
            self.storage.ledger,
            event,
            step=self._position.step,
            sequences=self._position.sequences,
            tokens=self._position.tokens,
            wallSeconds=round(wall_seconds(self.storage.ledger), 3),
            message=message,
            **fields,
        )

    def has_event(self, event: LedgerEvent) -> bool:
        """Return whether the ledger has such an event."""
        return any(line.get("event") == event for line in read_events(self.storage.ledger))

    def _sources_seen(self) -> list[dict[str, Any]]:
        seen = self.accounting.seen(self._position.sequences, self._skips)
        return [source.model_dump(mode="json", by_alias=True) for source in seen]

    def move_to(self, position: Position, skips: SkipList) -> None:
        """Training starts, or goes on after a restart or rollback, at `position`; what came after it is taken away."""
        self._position, self._skips = position, skips
        self.speed.reset()
        self.status.step, self.status.sequences, self.status.tokens = position.step, position.sequences, position.tokens
        if self.is_main:
            self.metrics.cut(position.step)
            self.evaluations.cut(position.step)
            evaluated = self.evaluations.after(-1)
            self.status.validation_loss = evaluated[-1]["validationLoss"] if evaluated else None

    def discard_after(self, step: int, rollback: int) -> None:
        """Copy the metrics that a rollback takes back to their own file."""
        if self.is_main:
            move_discarded(self.metrics, self.storage.metrics_discarded, step, rollback)

    def step_done(
        self, report: StepReport, position: Position, span: StageSpan, learning_rate: float, seconds: float
    ) -> None:
        """Write the line of a step that began `span.batch_sequences` before `position`."""
        self._position = position
        if not self.is_main:
            return
        self.speed.add(span.batch_tokens, seconds)
        remaining = self.schedule.total_tokens - position.tokens
        status = self.status
        status.step, status.sequences, status.tokens = position.step, position.sequences, position.tokens
        status.progress_percentage = round(100 * position.tokens / self.schedule.total_tokens, 3)
        status.loss, status.gradient_norm = finite(report.loss), finite(report.gradient_norm)
        status.learning_rate = learning_rate
        status.tokens_per_second = round(self.speed.tokens_per_second, 1)
        status.estimated_remaining_seconds = round(remaining / self.speed.tokens_per_second, 1)
        status.mfu = self.speed.utilization()
        status.batch_stage, status.batch_tokens = span.index, span.batch_tokens
        status.last_updated_time = utc_now()
        self.metrics.append(status.model_dump(mode="json", by_alias=True, exclude=_NOT_A_LINE))

    def evaluated(self, loss: float | None, per_source: dict[str, float], answers: dict[str, dict[str, Any]]) -> None:
        """Write the line of an evaluation.

        Args:
            loss: Over all validation tokens; None: there are none.
            per_source: Losses by source.
            answers: Results of multiple-choice questions by file.
        """
        self.status.validation_loss = loss
        if self.is_main:
            position = self._position
            if loss is not None:
                logger.info("validation loss at step %d: %.4f", position.step, loss)
            for name, result in answers.items():
                logger.info("%s at step %d: accuracy %.4f", name, position.step, result["accuracy"])
            line: dict[str, Any] = {"step": position.step, "tokens": position.tokens}
            line |= {"validationLoss": loss, "perSource": per_source}
            if answers:
                line["multipleChoice"] = answers
            self.evaluations.append({**line, "sources": self._sources_seen()})

    def progress(self, state: str | None = None, message: str = "") -> None:
        """Tell the supervisor how far training is; seldom enough to call it at every step."""
        self.state = state or self.state
        if not self._progress.due(self.state, message):
            return
        seen = self.accounting.seen(self._position.sequences, self._skips)
        self.status.sources, self.status.sources_not_shown = shown_sources(seen)
        progress = TrainerProgress(
            state=self.state,
            message=message,
            training=self.status,
            checkpoints=self.checkpoints,
            rollbacks=self.rollbacks[-MAX_ROLLBACKS_SHOWN:],
            refused_rollback=self.refused_rollback,
        )
        self._progress.write(progress)

    def sync(self) -> None:
        """Flush the metrics to the disk."""
        self.metrics.sync()

    def close(self) -> None:
        """Close the files."""
        self.metrics.close()
        self.evaluations.close()
