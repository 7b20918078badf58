"""`pretrain run`, without its command line: load, begin, show, end."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pretrain_api.names import Component, ConditionType, Phase
from pretrain_api.spec.job import PretrainJob
from pretrain_api.status import PretrainJobStatus
from pretrain_api.validation import check_world
from pretrain_cli.display.choose import choose_display
from pretrain_cli.display.interface import Display
from pretrain_cli.display.summary import completed_lines, failure_lines
from pretrain_cli.errors import UsageError
from pretrain_cli.manifest import invalid, load_job
from pretrain_operator.local.beginning import Beginning, begin, newest_checkpoint_step
from pretrain_operator.local.engine import LocalEngine
from pretrain_operator.local.errors import LocalRunError
from pretrain_operator.local.host import CommandResolver, this_python
from pretrain_operator.local.machine import processes_per_node
from pretrain_operator.local.workdir import Workdir
from pretrain_operator.planning.conditions import is_true
from pretrain_operator.planning.stages import preparation_stages

EXIT_COMPLETED = 0
EXIT_FAILED = 1
EXIT_INTERRUPTED = 130
EXIT_TERMINATED = 143
STOPPING = "stopping: saving a checkpoint (Ctrl-C again: stop at once)"


@dataclass(frozen=True)
class RunOptions:
    """What was asked for."""

    file: str
    workdir: Path | None = None
    fresh: bool = False
    overrides: tuple[str, ...] = ()
    job: str | None = None
    until: str | None = None
    quiet: bool = False
    output: Literal["text", "json"] = "text"


def run_job(options: RunOptions, resolve_command: CommandResolver = this_python) -> int:
    """Run the job; return the exit code. Everything that goes wrong is said in a line or two."""
    try:
        job = load_job(options.file, options.job, options.overrides)
        _check(options, job)
        workdir = Workdir(options.workdir or Path("runs") / job.metadata.name)
        workdir.open(options.fresh)
        try:
            return _run_in(workdir, job, options, resolve_command)
        finally:
            workdir.close()
    except UsageError as problem:
        _complain(*problem.lines)
    except LocalRunError as error:
        _complain(f"pretrain run: {error}", f"what to do: {error.remedy}")
    return EXIT_FAILED


def _check(options: RunOptions, job: PretrainJob) -> None:
    """Refuse what can't be done on this machine."""
    processes = job.spec.trainer.num_proc_per_node
    problems = check_world(job, processes_per_node() if processes == "auto" else processes)
    if problems:
        raise invalid(options.file, problems)
    if options.until is not None:
        _last_stage(job, options.until)


def _last_stage(job: PretrainJob, until: str) -> Component:
    """Return the stage after which to stop: `dedup` is all that has to do with duplicates. Raises UsageError."""
    stages = preparation_stages(job)
    named = [stage for stage in stages if stage == until or stage.startswith(f"{until}-")]
    if not named:
        known = ", ".join(dict.fromkeys("dedup" if stage.startswith("dedup-") else str(stage) for stage in stages))
        raise UsageError(f"--until {until}: no such stage in this job; there are: {known}")
    return named[-1]


def _run_in(workdir: Workdir, job: PretrainJob, options: RunOptions, resolve_command: CommandResolver) -> int:
    beginning = begin(job, workdir)
    if _is_complete(beginning):
        return _already_complete(workdir, beginning, options)
    display = choose_display(job.metadata.name, options.output, options.quiet)
    signals = _Signals(display)
    with display:
        _introduce(display, workdir, beginning)
        until = _last_stage(job, options.until) if options.until is not None else None
        engine = LocalEngine(beginning, workdir, display.show, until, resolve_command)
        status = asyncio.run(_drive(engine, signals))
    return _conclude(workdir, job.metadata.name, status, options, signals.first)


def _is_complete(beginning: Beginning) -> bool:
    same = beginning.job.metadata.generation == beginning.status.observed_generation
    return same and is_true(beginning.status, ConditionType.COMPLETE)


def _already_complete(workdir: Workdir, beginning: Beginning, options: RunOptions) -> int:
    if options.output == "json":
        print(beginning.status.model_dump_json(by_alias=True, exclude_none=True))
        return EXIT_COMPLETED
    print(f"{beginning.job.metadata.name} is complete already; nothing to do (start over: --fresh)")
    if not options.quiet:
        print("\n".join(completed_lines(beginning.status, workdir.layout)))
    return EXIT_COMPLETED


class _Signals:
    """Ctrl-C and SIGTERM: the first asks the run to stop, the second stops it."""

    def __init__(self, display: Display) -> None:
        self._display = display
        self.first: signal.Signals | None = None

    def handler(self, engine: LocalEngine, number: signal.Signals) -> Callable[[], None]:
        """Return what to do when the signal comes."""

        def handle() -> None:
            if self.first is not None:
                engine.kill()
                return
            self.first = number
            self._display.say(STOPPING)
            engine.interrupt()

        return handle


async def _drive(engine: LocalEngine, signals: _Signals) -> PretrainJobStatus:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, signals.handler(engine, number))
    return await engine.run()


def _introduce(display: Display, workdir: Workdir, beginning: Beginning) -> None:
    if beginning.changes:
        display.say(f"changed since the run before: {', '.join(beginning.changes)}; what depends on it is done again")
    elif beginning.continued:
        display.say(f"going on in {workdir.root}")


def _conclude(
    workdir: Workdir,
    name: str,
    status: PretrainJobStatus,
    options: RunOptions,
    interrupted_by: signal.Signals | None,
) -> int:
    if status.phase is Phase.COMPLETED:
        if options.output == "text":
            print(f"{name} is complete")
            print("\n".join(completed_lines(status, workdir.layout)))
        return EXIT_COMPLETED
    if interrupted_by is not None and status.phase is not Phase.FAILED:
        _complain(f"interrupted{_where(workdir)}; the same command goes on from there")
        return EXIT_TERMINATED if interrupted_by is signal.SIGTERM else EXIT_INTERRUPTED
    suspended = next((each for each in status.conditions if each.type is ConditionType.SUSPENDED), None)
    if status.phase is Phase.SUSPENDED and suspended is not None and not suspended.message:
        if options.output == "text":
            what = f"stopped after {options.until}" if options.until else "spec.suspend is true: nothing runs"
            print(f"{what}; what is done is in {workdir.root}")
        return EXIT_COMPLETED
    why, *rest = failure_lines(status, workdir.layout)
    _complain(f"pretrain run: {why}", *rest)
    return EXIT_FAILED


def _where(workdir: Workdir) -> str:
    step = newest_checkpoint_step(workdir.layout)
    return f" (checkpoint of step {step:,})" if step is not None else ""


def _complain(*lines: str) -> None:
    for line in lines:
        print(line, file=sys.stderr)
