"""`pretrain run` with the small programs of tests/operator in the places of the real ones.

Usage: pretrain_run.py STAGES TRAINER ARGUMENT…: two scripts in JSON (see the programs), then the arguments of
`pretrain run`.
"""

import sys
from pathlib import Path

import typer

import pretrain_cli.local_run
from pretrain_cli.commands.run import run

PROGRAMS = Path(__file__).parents[2] / "operator" / "programs"


def resolve(command):
    if command[2] == "pretrain_trainer":
        return [sys.executable, "-S", "-E", str(PROGRAMS / "trainer.py"), sys.argv[2]]
    stage = "report" if command[2] == "pretrain_report" else command[3]
    return [sys.executable, "-S", "-E", str(PROGRAMS / "stage.py"), stage, sys.argv[1]]


real_run_job = pretrain_cli.local_run.run_job
pretrain_cli.local_run.run_job = lambda options: real_run_job(options, resolve)
app = typer.Typer(pretty_exceptions_enable=False)
app.command()(run)
app(sys.argv[3:])
