"""The live display of a terminal: stages with bars, then training, with events as lines above."""

from __future__ import annotations

from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from pretrain_api.names import Phase, StageState
from pretrain_api.status import PreparationStage, PretrainJobStatus, TrainingStatus
from pretrain_cli.display.tracker import Tracker, stages_of
from pretrain_cli.display.words import count, duration, loss
from pretrain_operator.local.engine import Update

BAR_WIDTH = 28
_SYMBOLS = {
    StageState.PENDING: Text("·", style="dim"),
    StageState.SUCCEEDED: Text("✓", style="green"),
    StageState.FAILED: Text("✗", style="red"),
}
_TRAINING_PHASES = (Phase.STARTING, Phase.TRAINING, Phase.ROLLING_BACK, Phase.RESCALING, Phase.RESTARTING)
_PHASE_WORDS = {
    Phase.ROLLING_BACK: "rolling back",
    Phase.RESCALING: "changing the number of nodes",
    Phase.RESTARTING: "restarting",
    Phase.SUSPENDING: "stopping",
}


class LiveDisplay:
    """Redraws itself a few times a second."""

    def __init__(self, console: Console, job: str) -> None:
        self._console = console
        self._job = job
        self._tracker = Tracker()
        self._status: PretrainJobStatus | None = None
        self._note = ""
        self._spinner = Spinner("dots")
        self._live = Live(console=console, get_renderable=self._render, refresh_per_second=8, transient=False)

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._live.__exit__(None, None, None)

    def show(self, update: Update) -> None:
        """Keep the status for the next redraw; write what went wrong above."""
        self._tracker.update(update.status)
        self._status = update.status
        warnings = {event.message: event.reason for event in update.events if event.type == "Warning"}
        for message, reason in warnings.items():
            elapsed = duration(self._tracker.seconds())
            self._console.print(f"[dim]{elapsed}[/] [yellow]{escape(reason)}[/] {escape(message.splitlines()[0])}")

    def say(self, line: str) -> None:
        """Show a line below everything."""
        self._note = line

    def _render(self) -> RenderableType:
        head = Text.assemble((self._job, "bold"), "  ", duration(self._tracker.seconds()))
        if self._status is None:
            return Group(head)
        parts: list[RenderableType] = [head, self._table(self._status)]
        if facts := _training_facts(self._status):
            parts.append(Text("   " + "   ".join(facts), style="dim"))
        if self._note:
            parts.append(Text(self._note, style="yellow"))
        return Group(*parts)

    def _table(self, status: PretrainJobStatus) -> Table:
        table = Table.grid(padding=(0, 2))
        for stage in stages_of(status):
            table.add_row(*self._stage_row(stage))
        if status.phase in _TRAINING_PHASES or status.training is not None:
            table.add_row(*self._training_row(status, status.training or TrainingStatus()))
        if status.report is not None:
            table.add_row(*self._stage_row(status.report))
        return table

    def _stage_row(self, stage: PreparationStage) -> list[RenderableType]:
        clock = self._tracker.stages.get(stage.name)
        speed = clock.documents_per_second() if clock is not None else None
        return [
            _SYMBOLS.get(stage.state, self._spinner),
            stage.name,
            ProgressBar(total=max(1, stage.total), completed=stage.completed, width=BAR_WIDTH),
            Text(f"{stage.completed}/{stage.total}", justify="right"),
            Text(duration(clock.seconds()) if clock is not None else "", justify="right"),
            Text(f"{count(speed)} documents/s" if speed else "", style="dim"),
            Text(stage.message or _funnel(stage), style="dim", overflow="ellipsis", no_wrap=True),
        ]

    def _training_row(self, status: PretrainJobStatus, training: TrainingStatus) -> list[RenderableType]:
        step, total = training.step or 0, training.total_steps or 1
        done = status.completed_configuration is not None
        speed, left = training.tokens_per_second, training.estimated_remaining_seconds
        return [
            _SYMBOLS[StageState.SUCCEEDED] if done else self._spinner,
            "training",
            ProgressBar(total=total, completed=step, width=BAR_WIDTH),
            Text(f"{step:,}/{total:,}" if training.step is not None else "starting", justify="right"),
            Text("" if left is None or done else f"{duration(left)} left", justify="right"),
            Text(f"{count(speed)} tokens/s" if speed else "", style="dim"),
            Text("" if done else _PHASE_WORDS.get(status.phase, ""), style="yellow"),
        ]


def _funnel(stage: PreparationStage) -> str:
    if stage.state is not StageState.SUCCEEDED or not stage.documents_in or stage.documents_out is None:
        return ""
    return f"{stage.documents_in:,} documents → {stage.documents_out:,}"


def _training_facts(status: PretrainJobStatus) -> list[str]:
    training = status.training or TrainingStatus()
    facts = [f"loss {loss(training.loss)}"] if training.loss is not None else []
    if training.validation_loss is not None:
        facts.append(f"validation loss {loss(training.validation_loss)}")
    if training.learning_rate is not None:
        facts.append(f"learning rate {training.learning_rate:.2e}")
    if training.batch_stage is not None and training.batch_tokens:
        facts.append(f"batch stage {training.batch_stage + 1}: {count(training.batch_tokens)} tokens")
    if status.rollbacks:
        facts.append(f"rollbacks {len(status.rollbacks)}")
    if status.restarts.total:
        facts.append(f"restarts {status.restarts.total}")
    return facts
