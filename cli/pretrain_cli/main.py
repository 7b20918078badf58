"""`pretrain`: the command line. Also installed as `kubectl-pretrain`, so that `kubectl pretrain …` works."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from typing import Annotated, Any

import typer


@dataclass(frozen=True)
class CommandEntry:
    """A command: imported when it is called, so that others start fast."""

    module: str
    function: str
    help: str


COMMANDS = {
    "run": CommandEntry("pretrain_cli.commands.run", "run", "Run a job on this machine, or go on with it."),
    "validate": CommandEntry("pretrain_cli.commands.validate", "validate", "Say everything that is wrong with jobs."),
    "estimate": CommandEntry(
        "pretrain_cli.commands.estimate", "estimate", "Estimate parameters, FLOPs, time, memory and cost of a job."
    ),
    "presets": CommandEntry("pretrain_cli.commands.presets", "presets", "List published models and their settings."),
    "generate": CommandEntry("pretrain_cli.commands.generate", "generate", "Let a model continue a text."),
    "evaluate": CommandEntry(
        "pretrain_cli.commands.evaluate", "evaluate", "Let a model answer multiple-choice questions."
    ),
    "export": CommandEntry("pretrain_cli.commands.export", "export", "Write a finished model once more, in int8."),
    "submit": CommandEntry("pretrain_cli.commands.submit", "submit", "Send jobs to the cluster."),
    "list": CommandEntry(
        "pretrain_cli.commands.list", "list_jobs", "List the cluster's jobs, or runs of this machine."
    ),
    "status": CommandEntry("pretrain_cli.commands.status", "status", "Show where a job is, what is wrong, what to do."),
    "logs": CommandEntry("pretrain_cli.commands.logs", "logs", "Show what a job's processes wrote."),
    "events": CommandEntry("pretrain_cli.commands.events", "events", "Show what happened to a job."),
    "suspend": CommandEntry(
        "pretrain_cli.commands.suspend", "suspend", "Stop a job after a checkpoint; keep everything."
    ),
    "resume": CommandEntry("pretrain_cli.commands.suspend", "resume", "Let a job go on."),
    "rollback": CommandEntry("pretrain_cli.commands.rollback", "rollback", "Go back to a checkpoint."),
    "plot": CommandEntry("pretrain_cli.commands.plot", "plot", "Plot the loss, in the terminal or as a picture."),
    "report": CommandEntry("pretrain_cli.commands.report", "report", "Write the report of a job again."),
    "sample-corpus": CommandEntry(
        "pretrain_cli.commands.sample_corpus", "sample_corpus", "Write real text to try things with."
    ),
}


def build_app(called: str | None) -> typer.Typer:
    """Return the command line with the command `called` ready and the others by name and help only."""
    app = typer.Typer(
        name="pretrain",
        help="Pre-train language models: one file says data, model, objective, batch stages and budget.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_options)
    for name, entry in COMMANDS.items():
        if name == called:
            app.command(name)(getattr(import_module(entry.module), entry.function))
        else:
            app.command(name, help=entry.help)(_only_listed())
    return app


def main() -> None:
    """Entry point."""
    called = next((argument for argument in sys.argv[1:] if not argument.startswith("-")), None)
    build_app(called)()


def _only_listed() -> Callable[[], Any]:
    def listed() -> None:
        raise RuntimeError("only there to be listed in the help")

    return listed


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"pretrain {version('pretrain')}")
        raise typer.Exit


def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Common options."""


if __name__ == "__main__":
    main()
