"""The process: environment, files, termination message, exit code."""

from __future__ import annotations

import errno
import json
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

from pretrain_api.names import Reason
from pretrain_api.wire import (
    DEFAULT_TERMINATION_LOG,
    ENV_CONFIG,
    ENV_STORAGE,
    ENV_TERMINATION_LOG,
    ExitCode,
    StorageLayout,
    TerminationMessage,
)


class ReportError(Exception):
    """The report can't be made; the message is one line for people."""


def main() -> int:
    """Write the report of the job that the environment names; return the exit code."""
    try:
        counts = write_report(*_job_and_storage(os.environ))
        code, message = ExitCode.DONE, _message("Completed", Reason.COMPLETED, "", counts)
    except ReportError as error:
        code, message = ExitCode.INVALID_CONFIGURATION, _message("Failed", Reason.INVALID_CONFIGURATION, str(error))
    except OSError as error:
        code, message = _operating_system_failure(error)
    except Exception as error:
        traceback.print_exc()
        text = f"internal error: {type(error).__name__}: {error}; the job itself isn't affected, please report this"
        code, message = ExitCode.INTERNAL_ERROR, _message("Failed", Reason.REPORT_FAILED, text)
    _say(message)
    return int(code)


def write_report(job: dict[str, Any], layout: StorageLayout) -> dict[str, int]:
    """Write report/index.html, and report/loss.png if there is a loss to plot; return counts.

    Raises:
        OSError: the report can't be written; an older one stays as it is.
    """
    # Imported only now: a wrong configuration is told at once.
    from pretrain_report.page import render
    from pretrain_report.plots import LIGHT, draw_loss, save_png
    from pretrain_report.storage import read_records

    records = read_records(job, layout)
    page = render(records).encode(errors="replace")
    layout.report.mkdir(parents=True, exist_ok=True)
    if records.metrics:
        figure = draw_loss(records, LIGHT, width=960, height=400, legend=True)
        _write_atomically(layout.report / "loss.png", lambda file: save_png(figure, file))
    _write_atomically(layout.report / "index.html", lambda file: file.write(page))
    return {"steps": records.metrics.steps if records.metrics else 0, "events": len(records.ledger), "bytes": len(page)}


def _job_and_storage(environment: Mapping[str, str]) -> tuple[dict[str, Any], StorageLayout]:
    config, storage = (environment.get(name, "") for name in (ENV_CONFIG, ENV_STORAGE))
    for name, value in ((ENV_CONFIG, config), (ENV_STORAGE, storage)):
        if not value:
            raise ReportError(f"{name} isn't set; see docs/wire-formats.md")
    if not Path(storage).is_dir():
        raise ReportError(f"{storage}: the storage isn't there; mount it or create the directory")
    try:
        job = json.loads(Path(config).read_bytes())
    except OSError as error:
        raise ReportError(f"{config}: can't read the job: {error.strerror}") from error
    except ValueError as error:
        raise ReportError(f"{config}: not a resolved job: {error}") from error
    if not isinstance(job, dict) or not isinstance(job.get("spec"), dict):
        raise ReportError(f"{config}: not a resolved job: spec is missing")
    return job, StorageLayout(storage)


def _write_atomically(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    temporary = path.with_name(f".tmp-{path.name}-{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _operating_system_failure(error: OSError) -> tuple[ExitCode, TerminationMessage]:
    where = error.filename or "the storage"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        text = f"{where}: no space left for the report; make room and run again"
        return ExitCode.TRY_AGAIN, _message("Failed", Reason.STORAGE_FULL, text)
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        text = f"{where}: can't write the report: {error.strerror}; the storage must be writable for user {os.getuid()}"
        return ExitCode.INVALID_CONFIGURATION, _message("Failed", Reason.STORAGE_NOT_WRITABLE, text)
    return ExitCode.TRY_AGAIN, _message("Failed", Reason.TEMPORARY_FAILURE, f"{where}: {error.strerror or error}")


def _message(outcome: str, reason: str, text: str, counts: dict[str, int] | None = None) -> TerminationMessage:
    message = {"outcome": outcome, "reason": reason, "message": " ".join(text.split()), "counts": counts or {}}
    return TerminationMessage.model_validate(message)


def _say(message: TerminationMessage) -> None:
    if message.message:
        print(f"report: {message.reason}: {message.message}", file=sys.stderr)
    path = os.environ.get(ENV_TERMINATION_LOG, DEFAULT_TERMINATION_LOG)
    try:
        Path(path).write_text(message.to_json(), encoding="utf-8")
    except OSError as error:
        # Outside a pod nobody asked for the default file; a chosen one that can't be written is worth a word.
        if ENV_TERMINATION_LOG in os.environ:
            print(f"report: can't write {path}: {error.strerror}", file=sys.stderr)
