"""Batch stages and learning rate as pure functions of consumed sequences and tokens."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass

from pretrain_api.spec.training import LearningRate, Training


@dataclass(frozen=True)
class StageSpan:
    """A batch stage as it is carried out: steps [first_step, first_step + num_steps)."""

    index: int
    batch_sequences: int
    batch_tokens: int
    num_nodes: int | None
    first_step: int
    """Steps done before the stage; steps are counted from 0 here."""
    first_sequence: int
    """Sequences consumed before the stage."""
    num_steps: int

    @property
    def end_step(self) -> int:
        """Steps done after the stage."""
        return self.first_step + self.num_steps


@dataclass(frozen=True)
class BatchSchedule:
    """All batch stages of a run. A stage starts at the first step that begins at or after its `from`."""

    spans: tuple[StageSpan, ...]
    sequence_length: int

    @property
    def total_steps(self) -> int:
        """Steps of the whole run."""
        return self.spans[-1].end_step

    @property
    def total_sequences(self) -> int:
        """Sequences consumed by the whole run."""
        last = self.spans[-1]
        return last.first_sequence + last.num_steps * last.batch_sequences

    @property
    def total_tokens(self) -> int:
        """Tokens consumed by the whole run: training.tokens rounded up to a whole batch."""
        return self.total_sequences * self.sequence_length

    def span_of_step(self, step: int) -> StageSpan:
        """Return the stage that the step after `step` done ones belongs to."""
        starts = [span.first_step for span in self.spans]
        return self.spans[max(0, bisect_right(starts, step) - 1)]

    def sequences_after(self, step: int) -> int:
        """Return how many sequences are consumed after `step` steps."""
        span = self.span_of_step(step)
        return span.first_sequence + (step - span.first_step) * span.batch_sequences

    def step_of_sequence(self, sequence: int) -> int:
        """Return the step, from 0, that consumes the `sequence`-th sequence, from 0."""
        starts = [span.first_sequence for span in self.spans]
        span = self.spans[max(0, bisect_right(starts, sequence) - 1)]
        return span.first_step + (sequence - span.first_sequence) // span.batch_sequences


def batch_schedule(training: Training) -> BatchSchedule:
    """Return the batch stages of `training` in steps and sequences.

    Stages that lie beyond training.tokens have no steps and are left out.

    Raises:
        ValueError: A stage's batch isn't a multiple of the sequence length.
    """
    spans: list[StageSpan] = []
    step = sequence = 0
    stages = training.batch.stages
    for index, stage in enumerate(stages):
        if stage.tokens % training.sequence_length:
            raise ValueError(
                f"batch stage {index}: {stage.tokens} tokens aren't a multiple of {training.sequence_length}"
            )
        batch_sequences = stage.tokens // training.sequence_length
        end_tokens = training.tokens
        if index + 1 < len(stages):
            end_tokens = min(end_tokens, stages[index + 1].from_)
        remaining_tokens = end_tokens - sequence * training.sequence_length
        num_steps = max(0, math.ceil(remaining_tokens / stage.tokens))
        if num_steps == 0:
            continue
        spans.append(StageSpan(index, batch_sequences, stage.tokens, stage.num_nodes, step, sequence, num_steps))
        step += num_steps
        sequence += num_steps * batch_sequences
    return BatchSchedule(tuple(spans), training.sequence_length)


def learning_rate_at(schedule: LearningRate, tokens: int, total_tokens: int) -> float:
    """Return the learning rate of the step that starts with `tokens` tokens consumed.

    Warm-up is linear from 0 and reaches the peak at warmupTokens; then the rate decays to floor x peak at
    decayTokens (cosine: Loshchilov and Hutter 2017, equation 5, without restarts) and stays there. The step's own
    tokens are not counted, so a first step with a warm-up has a rate of 0 unless the caller passes the tokens at
    its end.

    Args:
        schedule: The learning rate's specification.
        tokens: Consumed tokens.
        total_tokens: Length of training in tokens: the default of decayTokens.
    """
    if tokens < schedule.warmup_tokens:
        return schedule.peak * tokens / schedule.warmup_tokens
    if schedule.decay == "constant":
        return schedule.peak
    if schedule.decay == "inverse-sqrt":
        return schedule.peak * max(schedule.floor, math.sqrt(max(1, schedule.warmup_tokens) / max(1, tokens)))
    end = schedule.decay_tokens or total_tokens
    start = annealing_start(schedule, end) if schedule.decay == "wsd" else schedule.warmup_tokens
    fraction = min(1.0, max(0, tokens - start) / max(1, end - start))
    name = (schedule.anneal_shape or "linear") if schedule.decay == "wsd" else schedule.decay
    return schedule.peak * (schedule.floor + (1 - schedule.floor) * _SHAPES[name](fraction))


def annealing_start(schedule: LearningRate, end: int) -> int:
    """Return where the last part of a wsd schedule begins that ends at `end`, in tokens; never inside the warm-up."""
    length = schedule.anneal_tokens or max(1, end // 10)
    return max(schedule.warmup_tokens, end - length)


_SHAPES: dict[str, Callable[[float], float]] = {
    "linear": lambda fraction: 1 - fraction,
    "cosine": lambda fraction: 0.5 * (1 + math.cos(math.pi * fraction)),
    "1-sqrt": lambda fraction: 1 - math.sqrt(fraction),
}
"""From the peak to the floor: 1 at the beginning, 0 at the end."""


def batch_factor(schedule: LearningRate, batch_tokens: int, first_batch_tokens: int) -> float:
    """Return the factor on the learning rate in a stage, as batchScaling says."""
    power = {"none": 0.0, "sqrt": 0.5, "linear": 1.0}[schedule.batch_scaling]
    return float((batch_tokens / first_batch_tokens) ** power)
