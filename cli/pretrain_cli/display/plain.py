"""Plain lines for logs and pipes: no colours, no control characters, a few seconds apart."""

from __future__ import annotations

import os
import sys
import time
from typing import Self, TextIO

from pretrain_api.names import Phase, StageState
from pretrain_api.status import PreparationStage, PretrainJobStatus, TrainingStatus
from pretrain_cli.display.tracker import Tracker, stages_of
from pretrain_cli.display.words import count, duration, loss
from pretrain_operator.local.engine import Update
from pretrain_operator.planning import Event

EVERY_SECONDS = 5.0


class PlainDisplay:
    """A line every few seconds, and one an event."""

    def __init__(self, stream: TextIO | None = None, every_seconds: float = EVERY_SECONDS) -> None:
        self._stream = stream or sys.stdout
        self._every_seconds = every_seconds
        self._tracker = Tracker()
        self._last_time = time.monotonic()
        self._last_line = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def show(self, update: Update) -> None:
        """Write events at once, progress now and then."""
        self._tracker.update(update.status)
        for line in event_lines(update.events):
            self.say(line)
        now = time.monotonic()
        line = progress_line(update.status, self._tracker)
        if line and line != self._last_line and now - self._last_time >= self._every_seconds:
            self.say(line)
            self._last_line, self._last_time = line, now

    def say(self, line: str) -> None:
        """Write a line with the time of the run before it."""
        write_line(f"[{duration(self._tracker.seconds())}] {line}", self._stream)


class QuietDisplay:
    """Nothing but what must be said."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def show(self, update: Update) -> None:
        """Show nothing."""

    def say(self, line: str) -> None:
        """Show nothing."""


def write_line(line: str, stream: TextIO) -> None:
    """Write a line. A reader that has gone away doesn't end the run: it goes on unseen."""
    try:
        print(line, file=stream, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def event_lines(events: tuple[Event, ...]) -> list[str]:
    """Return a line an event; what two of them say is said once."""
    lines = [f"{'warning: ' if event.type == 'Warning' else ''}{event.message.splitlines()[0]}" for event in events]
    return list(dict.fromkeys(lines))


def progress_line(status: PretrainJobStatus, tracker: Tracker) -> str:
    """Return where the job is, in a line; "" if there is nothing to say yet."""
    if status.phase in (Phase.COMPLETED, Phase.FAILED, Phase.SUSPENDED):
        return ""
    running = next((stage for stage in stages_of(status) if stage.state is StageState.RUNNING), None)
    if running is not None:
        return stage_line(running, tracker)
    if status.report is not None and status.report.state is StageState.RUNNING:
        return "report: being written"
    if status.training is not None and status.training.step is not None:
        return training_line(status.training)
    return ""


def stage_line(stage: PreparationStage, tracker: Tracker) -> str:
    """Return the progress of a stage in a line."""
    parts = [f"{stage.name}: {stage.completed}/{stage.total}"]
    clock = tracker.stages.get(stage.name)
    speed = clock.documents_per_second() if clock is not None else None
    if stage.documents_in:
        parts.append(f"{stage.documents_in:,} documents")
    if speed:
        parts.append(f"{count(speed)} documents/s")
    if stage.message:
        parts.append(stage.message)
    return ", ".join(parts)


def training_line(training: TrainingStatus) -> str:
    """Return the progress of training in a line."""
    parts = [f"step {training.step:,}/{training.total_steps or 0:,}"]
    if training.loss is not None:
        parts.append(f"loss {loss(training.loss)}")
    if training.validation_loss is not None:
        parts.append(f"validation loss {loss(training.validation_loss)}")
    if training.learning_rate is not None:
        parts.append(f"learning rate {training.learning_rate:.2e}")
    if training.batch_stage is not None and training.batch_tokens:
        parts.append(f"batch stage {training.batch_stage + 1} ({count(training.batch_tokens)} tokens)")
    if training.tokens_per_second:
        parts.append(f"{count(training.tokens_per_second)} tokens/s")
    if training.estimated_remaining_seconds is not None:
        parts.append(f"{duration(training.estimated_remaining_seconds)} left")
    return ", ".join(parts)
