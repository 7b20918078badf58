"""A training run: restore, step by step to the end, evaluate, export."""

from __future__ import annotations

import logging
import time

from pretrain_api.names import LedgerEvent, Reason
from pretrain_api.schedule import StageSpan, batch_factor, learning_rate_at
from pretrain_api.spec.training import Training
from pretrain_api.status import RefusedRollback, RollbackRecord
from pretrain_api.wire import RollbackRequest, TerminationMessage
from pretrain_trainer.assembly import Parts, wanted_nodes
from pretrain_trainer.checkpoint.layout import RecoveryLog, TrainerState
from pretrain_trainer.data.sample_index import SkipList
from pretrain_trainer.errors import Divergence
from pretrain_trainer.evaluation import validation_losses, weighted_mean
from pretrain_trainer.finish import finish_run
from pretrain_trainer.ledger import utc_now
from pretrain_trainer.position import Position
from pretrain_trainer.questions import answer
from pretrain_trainer.stability.ladder import Action, recovered
from pretrain_trainer.stability.rollback import Spike, close_request, plan_requested_rollback, plan_rollback
from pretrain_trainer.step import StepReport
from pretrain_trainer.stopping import Stopped

RESCALE_WAIT_SECONDS = 60.0
"""An operator asks for the progress every 10 s."""
LOOK_SECONDS = 0.1
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
        if not self._roll_back_as_asked():
            self._take_over(checkpoints.restore())
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
            self.position = Position.at_step(parts.schedule, state.step)
            parts.detector.load_state_dict(state.detector)
            self.training_seconds = state.training_seconds
        self.skips = SkipList.from_json(recovery.skipped)
        parts.records.move_to(self.position, self.skips)
        self._update_status()

    def _step(self) -> None:
        """Do a step and what follows from it."""
        parts = self.parts
        span = parts.schedule.span_of_step(self.position.step)
        self._await_width(span)
        if span.first_step == self.position.step and span.first_step > 0:
            self._announce_stage(self.position.step)
        after = self.position.advance(span.batch_sequences)
        learning_rate = self._learning_rate(after, span)
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

    def _learning_rate(self, after: Position, span: StageSpan) -> float:
        """Return the learning rate of the step that ends at `after`, lowered by earlier rollbacks if the job says
        so."""
        schedule, spans = self.training.learning_rate, self.parts.schedule.spans
        rate = learning_rate_at(schedule, after.tokens, self.training.tokens)
        rate *= batch_factor(schedule, span.batch_tokens, spans[0].batch_tokens)
        factor = self.parts.stability.rollback.learning_rate_factor
        rollbacks = [r for r in self.parts.checkpoints.recovery.automatic if r.resumed_from_step < after.step]
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
        self._save_here()
        self.parts.records.event(LedgerEvent.SUSPEND, f"stopped at step {self.position.step}; the state is saved")
        raise Stopped(self.position.step)

    def _await_width(self, span: StageSpan) -> None:
        """Where a batch stage begins that wants another number of nodes: save, and wait to be stopped.

        Who started us starts as many as it wants then. Where nobody does, training goes on at the width it has, if the
        batch can be divided by that: the steps are the same at any width.

        Raises:
            Stopped: A rank was told to stop; the state is saved.
        """
        parts, have = self.parts, self.parts.records.environment.num_nodes
        wanted = wanted_nodes(parts.spec, span.num_nodes)
        micro_batch = self.training.micro_batch_size * parts.engine.group.world_size
        divides = span.batch_sequences % micro_batch == 0
        if wanted in (None, have) or (divides and span.first_step != self.position.step):
            return
        message = f"batch stage {span.index} wants {wanted} nodes instead of {have}"
        self._save_here()
        self._update_status()
        parts.records.event(LedgerEvent.RESCALE, f"{message}; the state is saved", numNodes=wanted)
        began = time.monotonic()
        patient = True
        while patient or not divides:
            parts.records.progress("Training", f"{message}: waiting for them")
            parts.beat()
            impatient = time.monotonic() - began > RESCALE_WAIT_SECONDS and parts.records.is_main
            stop, ended = parts.engine.group.sum([float(parts.stop.requested), float(impatient)])
            if stop:
                self._stop()
            patient = not ended
            time.sleep(LOOK_SECONDS)
        logger.warning("%s, and nobody gave them within %.0f s: going on with %d", message, RESCALE_WAIT_SECONDS, have)

    def _save_here(self) -> None:
        """Have the state at this step on disk."""
        self.parts.records.sync()
        if self.parts.checkpoints.saved_step != self.position.step:
            self.parts.checkpoints.save_now(self._state())
        else:
            self.parts.checkpoints.finish()

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
        """Write the validation loss, and how many questions were answered rightly."""
        parts = self.parts
        if not parts.validation.data.starts and not parts.questions:
            return
        losses = validation_losses(parts.engine, parts.validation, self.training.micro_batch_size, parts.beat)
        mean = weighted_mean(losses, parts.validation.data.tokens) if losses else None
        parts.records.evaluated(mean, losses, answer(parts.engine, parts.questions, parts.beat))

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
        if len(parts.checkpoints.recovery.automatic) >= policy.max_rollbacks:
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
        state = parts.checkpoints.restore(before_step=onset - 1, healthy=True)
        if state is None:
            parts.load_initial_state()
        step = state.step if state else 0
        recovery = plan_rollback(spike, step, parts.schedule, parts.checkpoints.recovery, policy.skip_sequences)
        self._go_back(recovery, state, started, onsetStep=onset)

    def _go_back(self, recovery: RecoveryLog, state: TrainerState | None, started: float, **fields: int | str) -> None:
        """Carry out the newest rollback of `recovery`; the engine is in its state already."""
        rollback, records = recovery.rollbacks[-1], self.parts.records
        records.discard_after(rollback.resumed_from_step, recovery.generation)
        self.parts.checkpoints.decide(recovery)
        self._take_over(state)
        skipped = rollback.skipped_sequences
        what = f"sequences {skipped.from_} to {skipped.to - 1} are" if skipped.to > skipped.from_ else "nothing is"
        records.event(
            LedgerEvent.ROLLBACK,
            f"back from step {rollback.detected_at_step} to {rollback.resumed_from_step} in "
            f"{time.monotonic() - started:.1f} s; {what} skipped",
            rollback=recovery.generation,
            reason=rollback.reason,
            detectedAtStep=rollback.detected_at_step,
            resumedFromStep=rollback.resumed_from_step,
            skippedSequences={"from": skipped.from_, "to": skipped.to},
            **fields,
        )

    def _roll_back_as_asked(self) -> bool:
        """Do a rollback that a person asks for, unless it was done or refused before; return whether it is done."""
        parts, request = self.parts, self.parts.records.environment.rollback
        recovery = parts.checkpoints.recovery
        if request is None or request.id in recovery.requests:
            return False
        started = time.monotonic()
        parts.records.progress("RollingBack", f"going back to step {request.to_step}, as somebody asked")
        was: int = parts.engine.group.from_rank_0(self._newest_step())
        state = parts.checkpoints.restore(before_step=request.to_step)
        step = state.step if state else 0
        planned = plan_requested_rollback(request, was, step, parts.schedule, recovery)
        if refusal := self._refusal(request, planned.rollbacks[-1], state):
            parts.checkpoints.note(close_request(recovery, request))
            parts.records.event(LedgerEvent.ROLLBACK_REFUSED, refusal, request=request.id)
            parts.records.refused_rollback = RefusedRollback(id=request.id, time=utc_now(), message=refusal)
            return False
        self._go_back(planned, state, started, request=request.id)
        return True

    def _newest_step(self) -> int:
        """On rank 0: return the newest step that was written down, whether or not a checkpoint holds it."""
        checkpoints, lines = self.parts.checkpoints.stored, self.parts.records.metrics.after(-1)
        saved = checkpoints[0].step if checkpoints else 0
        return max(saved, int(lines[-1]["step"]) if lines else 0)

    def _refusal(self, request: RollbackRequest, planned: RollbackRecord, state: TrainerState | None) -> str | None:
        """Return why a requested rollback isn't done, if so. Step 0 needs no checkpoint: it is the initial state."""
        skipped, where = planned.skipped_sequences, f"the rollback {request.id} to step {request.to_step}"
        if state is None and request.to_step > 0:
            steps = ", ".join(str(checkpoint.step) for checkpoint in reversed(self.parts.checkpoints.stored)) or "none"
            return (
                f"{where} is refused: {self.parts.storage.checkpoints} has no valid checkpoint at or before it "
                f"(steps there: {steps}); name a later step, or 0 for the beginning; training goes on as it was"
            )
        if planned.resumed_from_step == planned.detected_at_step and skipped.from_ == skipped.to:
            return (
                f"{where} is refused: training is at step {planned.detected_at_step} and nothing would be skipped; "
                "name an earlier step; training goes on as it was"
            )
        return None

    def _settle_verdicts(self, final: bool = False) -> None:
        """Say of the newest rollback whether it helped, once enough clean steps have passed the place of the spike."""
        parts = self.parts
        recovery, detector = parts.checkpoints.recovery, parts.detector
        newest = recovery.rollbacks[-1] if recovery.rollbacks else None
        if newest is None or newest.recovered is not None or newest.reason == Reason.REQUESTED_BY_USER:
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
