"""A training run: restore, step by step to the end, evaluate, export."""

from __future__ import annotations

import logging
import time

from pretrain_api.names import LedgerEvent, Reason
from pretrain_api.schedule import learning_rate_at
from pretrain_api.spec.training import Training
from pretrain_api.wire import TerminationMessage
from pretrain_trainer.assembly import Parts
from pretrain_trainer.checkpoint.layout import TrainerState
from pretrain_trainer.data.sample_index import SkipList
from pretrain_trainer.errors import Divergence
from pretrain_trainer.evaluation import validation_losses, weighted_mean
from pretrain_trainer.finish import finish_run
from pretrain_trainer.position import Position
from pretrain_trainer.stability.ladder import Action, recovered
from pretrain_trainer.stability.rollback import Spike, plan_rollback
from pretrain_trainer.step import StepReport
from pretrain_trainer.stopping import Stopped
from pretrain_trainer.trajectory import check_trajectory

logger = logging.getLogger(__name__)


class TrainingRun:
    """Training from wherever it is to its end. All ranks do the same, in the same order."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self.training: Training = parts.training
        self.position = Position.at_step(parts.schedule, 0)
        self.skips = SkipList()
        self.training_seconds = 0.0

    def run(self) -> TerminationMessage:
        """Train to the end.

        Returns:
            What to say at the end.

        Raises:
            Stopped: A rank was told to stop; the state is saved.
            TrainerError: It can't go on.
        """
        self._start()
        while self.position.step < self.parts.schedule.total_steps:
            self._step()
        if self.parts.checkpoints.saved_step != self.position.step:  # else the process ended after this, the last time
            self._evaluate()
            self._settle_verdicts(final=True)
            self.parts.checkpoints.save_now(self._state())
        self._update_status()
        return finish_run(self.parts, self.position)

    def _start(self) -> None:
        """Go on from the newest valid checkpoint, or begin."""
        records, checkpoints = self.parts.records, self.parts.checkpoints
        records.progress("Starting", "looking for checkpoints")
        checkpoints.open()
        state = checkpoints.restore()
        self._take_over(state)
        if records.is_main and not records.has_event(LedgerEvent.START):
            records.event(LedgerEvent.START, f"training of {self.parts.description} starts", seed=self.training.seed)
        else:
            records.event(LedgerEvent.RESUME, f"training goes on from step {self.position.step}")
        if self.position.step == 0 and not checkpoints.stored and not checkpoints.recovery.rollbacks:
            self._announce_stage(0)
        records.progress("Training", "")

    def _take_over(self, state: TrainerState | None) -> None:
        """Put everything beside the engine in the state of a checkpoint; of the beginning without one."""
        parts = self.parts
        recovery = parts.checkpoints.recovery
        if state is None:
            self.position = Position.at_step(parts.schedule, 0)
            parts.detector.load_state_dict({})
            self.training_seconds = 0.0
        else:
            check_trajectory(state.configuration, parts.trajectory, str(parts.storage.checkpoints))
            self.position = Position.at_step(parts.schedule, state.step)
            if self.position.sequences != state.sequences:
                check_trajectory({}, {"spec.training.batch.stages": ""}, str(parts.storage.checkpoints))
            parts.detector.load_state_dict(state.detector)
            self.training_seconds = state.training_seconds
        self.skips = SkipList.from_json(recovery.skipped)
        parts.records.move_to(self.position)
        self._update_status()

    def _step(self) -> None:
        """Do a step and what follows from it."""
        parts = self.parts
        span = parts.schedule.span_of_step(self.position.step)
        if span.first_step == self.position.step and span.first_step > 0:
            self._announce_stage(self.position.step)
        after = self.position.advance(span.batch_sequences)
        learning_rate = self._learning_rate(after)
        started = time.monotonic()
        report = parts.runner.run(self.position, span.batch_sequences, learning_rate, self.skips)
        seconds = time.monotonic() - started
        self.training_seconds += seconds
        self.position = after
        parts.records.step_done(report, after, span, learning_rate, seconds)
        parts.checkpoints.poll(report.signals.part_written, report.signals.part_failed)
        if report.judgement.flagged:
            self._handle_flagged(report)
        self._after_step(report)

    def _learning_rate(self, after: Position) -> float:
        """Return the learning rate of the step that ends at `after`, lowered by earlier rollbacks if the job says
        so."""
        rate = learning_rate_at(self.training.learning_rate, after.tokens, self.training.tokens)
        factor = self.parts.stability.rollback.learning_rate_factor
        rollbacks = [r for r in self.parts.checkpoints.recovery.rollbacks if r.resumed_from_step < after.step]
        return float(rate * factor ** len(rollbacks))

    def _after_step(self, report: StepReport) -> None:
        parts, step = self.parts, self.position.step
        healthy_after = parts.stability.spike.healthy_after_steps
        if parts.records.is_main:
            parts.checkpoints.promote(step, parts.detector.clean_streak, healthy_after)
            self._update_status()
        if not report.judgement.flagged:
            self._settle_verdicts()
        if self._evaluation_due(step):
            self._evaluate()
        if report.signals.stop:
            self._stop()
        last = step == parts.schedule.total_steps
        if not last and parts.checkpoints.due(step, bool(report.signals.checkpoint_due)):
            parts.records.sync()
            parts.checkpoints.begin(self._state())
        parts.records.progress("Training")

    def _stop(self) -> None:
        """Save and leave, because a rank was told to.

        Raises:
            Stopped: Always.
        """
        self.parts.records.sync()
        if self.parts.checkpoints.saved_step != self.position.step:
            self.parts.checkpoints.save_now(self._state())
        else:
            self.parts.checkpoints.finish()
        self.parts.records.event(LedgerEvent.SUSPEND, f"stopped at step {self.position.step}; the state is saved")
        raise Stopped(self.position.step)

    def _announce_stage(self, step: int) -> None:
        span = self.parts.schedule.span_of_step(step)
        message = f"batch stage {span.index}: {span.batch_tokens} tokens a batch"
        self.parts.records.event(
            LedgerEvent.STAGE_CHANGE, message, batchStage=span.index, batchTokens=span.batch_tokens
        )

    def _state(self) -> TrainerState:
        return TrainerState(
            step=self.position.step,
            sequences=self.position.sequences,
            tokens=self.position.tokens,
            generation=self.parts.checkpoints.recovery.generation,
            skipped=self.skips.to_json(),
            detector=self.parts.detector.state_dict(),
            configuration=self.parts.trajectory,
            training_seconds=self.training_seconds,
            loss_scale=self.parts.engine.loss_scale(),
        )

    def _update_status(self) -> None:
        records, checkpoints = self.parts.records, self.parts.checkpoints
        if records.is_main:
            records.checkpoints = checkpoints.status()
            records.rollbacks = checkpoints.recovery.rollbacks

    def _evaluation_due(self, step: int) -> bool:
        every = self.training.evaluation.every_tokens
        if every is None or step == self.parts.schedule.total_steps:
            return False
        before = Position.at_step(self.parts.schedule, step - 1)
        return before.tokens // every < self.position.tokens // every

    def _evaluate(self) -> None:
        """Write the validation loss."""
        parts = self.parts
        if not parts.validation.starts:
            return
        losses = validation_losses(parts.engine, parts.validation, self.training.micro_batch_size, parts.beat)
        parts.records.evaluated(weighted_mean(losses, parts.validation.tokens), losses)

    def _handle_flagged(self, report: StepReport) -> None:
        """Do what the ladder says about a flagged step."""
        records, step = self.parts.records, self.position.step
        judgement = report.judgement
        message = (
            f"{judgement.reason} at step {step}: loss {report.loss:.4f}, expected {judgement.baseline:.4f}, "
            f"gradient norm {report.gradient_norm:.3g}, {judgement.deviation:.1f} deviations"
        )
        fields = {"loss": report.loss, "baseline": judgement.baseline, "gradientNorm": report.gradient_norm}
        records.event(LedgerEvent.SPIKE, message, reason=judgement.reason, onsetStep=judgement.onset_step, **fields)
        if report.action is Action.WITHHOLD:
            records.event(LedgerEvent.SKIP, f"the update of step {step} is left out")
            self._accept_lasting_change()
        elif report.action is Action.ROLL_BACK:
            self._roll_back(Spike(step, report.loss, judgement))
        elif report.action is Action.PAUSE:
            self._pause(message)

    def _accept_lasting_change(self) -> None:
        """With onSpike skip-step: after a window of flagged steps the new level is no spike any more."""
        detector = self.parts.detector
        if detector.flagged_streak >= detector.settings.window:
            detector.accept_new_level()

    def _pause(self, message: str) -> None:
        """Save and stop until somebody has had a look.

        Raises:
            TrainerError: Always.
        """
        self.parts.records.sync()
        self.parts.checkpoints.save_now(self._state())
        raise Divergence(
            f"{message}; the state before it is saved (spec.stability.onSpike is pause): look at the data, "
            "then run again",
            reason=Reason.PAUSED_ON_SPIKE,
        )

    def _roll_back(self, spike: Spike) -> None:
        """Go back to a healthy checkpoint from before the onset, and skip what was read since.

        Raises:
            Divergence: The budget of rollbacks is used up.
        """
        parts, policy = self.parts, self.parts.stability.rollback
        started = time.monotonic()
        parts.records.progress("RollingBack", f"going back from step {spike.step}")
        number = parts.checkpoints.recovery.generation + 1
        if number > policy.max_rollbacks:
            raise Divergence(
                f"{spike.judgement.reason} at step {spike.step} after {policy.max_rollbacks} rollbacks "
                "(spec.stability.rollback.maxRollbacks): look at the data near the spikes in ledger.jsonl, lower "
                "spec.training.learningRate.peak or raise the budget; a run goes on from the newest checkpoint"
            )
        onset = spike.judgement.onset_step
        parts.checkpoints.finish()
        if parts.records.is_main:
            # How fast the disk is must not decide what counts as healthy: equal runs go back to the same checkpoint.
            clean = parts.detector.clean_streak_before(onset, spike.step)
            parts.checkpoints.promote(onset - 1, clean, parts.stability.spike.healthy_after_steps)
        state = parts.checkpoints.restore(before_step=onset - 1)
        if state is None:
            parts.load_initial_state()
        step = state.step if state else 0
        recovery = plan_rollback(spike, step, parts.schedule, parts.checkpoints.recovery, policy.skip_sequences)
        parts.records.discard_after(step, number)
        parts.checkpoints.decide(recovery)
        self._take_over(state)
        skipped = recovery.rollbacks[-1].skipped_sequences
        parts.records.event(
            LedgerEvent.ROLLBACK,
            f"back from step {spike.step} to {step} in {time.monotonic() - started:.1f} s; "
            f"sequences {skipped.from_} to {skipped.to - 1} are skipped",
            rollback=number,
            reason=spike.judgement.reason,
            detectedAtStep=spike.step,
            onsetStep=onset,
            resumedFromStep=step,
            skippedSequences={"from": skipped.from_, "to": skipped.to},
        )

    def _settle_verdicts(self, final: bool = False) -> None:
        """Say of the newest rollback whether it helped, once enough clean steps have passed the place of the spike."""
        parts = self.parts
        recovery, detector = parts.checkpoints.recovery, parts.detector
        newest = recovery.rollbacks[-1] if recovery.rollbacks else None
        if newest is None or newest.recovered is not None:
            return
        clean = self.position.step - newest.detected_at_step
        enough = parts.stability.spike.healthy_after_steps
        if (clean < enough or detector.clean_streak < enough) and not final:
            return
        losses = list(detector.losses.values)[-max(1, min(enough, clean)) :]
        baseline = newest.baseline if newest.baseline is not None else float("inf")
        helped = bool(losses) and recovered(losses, baseline, detector.losses.spread())
        changed = [*recovery.rollbacks[:-1], newest.model_copy(update={"recovered": helped})]
        parts.checkpoints.note(recovery.model_copy(update={"rollbacks": changed}))
        message = f"the loss {'is back at' if helped else 'has not come back to'} its baseline of {baseline:.4f}"
        parts.records.event(
            LedgerEvent.VERDICT,
            message,
            rollback=len(recovery.rollbacks),
            recovered=helped,
            loss=losses[-1] if losses else None,
        )
