"""What the supervisor and its ranks say to each other: environment, files of the run directory, signals.

The supervisor starts every rank as ``python -m pretrain_trainer.rank`` with the variables below. The run directory is a
scratch directory on the node, shared by the supervisor and its ranks; nothing in it outlives the supervisor.

- ``progress.json``: a `pretrain_api.wire.TrainerProgress`, replaced atomically by rank 0, at most five times a second.
- ``heartbeat-<LOCAL_RANK>``: touched by every rank at each step, and during long work between steps.
- ``result-<LOCAL_RANK>.json``: a termination message, written by a rank before it exits on purpose.

SIGTERM: save a checkpoint, exit 143. SIGUSR1: dump the stacks of all threads to standard error and go on.
"""

from __future__ import annotations

import signal
from pathlib import Path

RANK_MODULE = "pretrain_trainer.rank"

RANK_VARIABLE = "RANK"
LOCAL_RANK_VARIABLE = "LOCAL_RANK"
WORLD_SIZE_VARIABLE = "WORLD_SIZE"
LOCAL_WORLD_SIZE_VARIABLE = "LOCAL_WORLD_SIZE"
MASTER_ADDRESS_VARIABLE = "MASTER_ADDR"
MASTER_PORT_VARIABLE = "MASTER_PORT"
CONFIG_VARIABLE = "PRETRAIN_CONFIG"
STORAGE_VARIABLE = "PRETRAIN_STORAGE"
RUN_DIRECTORY_VARIABLE = "PRETRAIN_RUN_DIRECTORY"

PROGRESS_FILE = "progress.json"
PROGRESS_INTERVAL_SECONDS = 0.2
"""Rank 0 replaces the progress file at most this often (changes of state are written at once)."""

STOP_SIGNAL = signal.SIGTERM
STACK_DUMP_SIGNAL = signal.SIGUSR1


def progress_path(run_directory: Path) -> Path:
    """Where rank 0 keeps the progress of the whole run."""
    return run_directory / PROGRESS_FILE


def heartbeat_path(run_directory: Path, local_rank: int) -> Path:
    """The file whose modification time says that the rank lives."""
    return run_directory / f"heartbeat-{local_rank}"


def result_path(run_directory: Path, local_rank: int) -> Path:
    """Where the rank leaves its termination message."""
    return run_directory / f"result-{local_rank}.json"
