"""The directory of a local run: its lock, what it was made for, its status, and starting over."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TextIO

from pydantic import ValidationError

from pretrain_api.names import ANNOTATION_ROLLBACK
from pretrain_api.resolve import resolved_json
from pretrain_api.spec.job import PretrainJob
from pretrain_api.status import PretrainJobStatus
from pretrain_api.wire import StorageLayout
from pretrain_operator.local.errors import LocalRunError
from pretrain_operator.local.files import write_atomic

MARKER_NAME = "run.json"
LOCK_NAME = ".lock"
RUN_VERSION = 1


@dataclass(frozen=True)
class RunMarker:
    """run.json: says that the directory is one of ours, and which resolved job it holds."""

    job: str
    configuration: str
    """SHA-256 of the resolved job: its name in config/."""
    annotations: dict[str, str] = field(default_factory=dict)
    """What a person asked of the run, as annotations of a PretrainJob in the cluster."""

    def to_json(self) -> str:
        """Return the file's text."""
        document: dict[str, Any] = {
            "runVersion": RUN_VERSION,
            "job": self.job,
            "configuration": self.configuration,
        }
        if self.annotations:
            document["annotations"] = self.annotations
        return json.dumps(document, indent=2) + "\n"


class Workdir:
    """The directory of a local run. Its layout is that of a job's storage."""

    def __init__(self, root: Path) -> None:
        self.layout = StorageLayout(root.absolute())
        self._lock: TextIO | None = None

    @property
    def root(self) -> Path:
        """The directory."""
        return self.layout.root

    def open(self, fresh: bool = False) -> None:
        """Make or recognise the directory, lock it, and with `fresh` remove what runs made in it.

        Raises:
            LocalRunError: It holds other things, another run works in it, or it can't be written.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            self._recognise()
            self._take_lock()
            if fresh:
                self._clear()
            if self.marker() is None:
                write_atomic(self.root / MARKER_NAME, RunMarker(job="", configuration="").to_json())
            for folder in (self.layout.config, self.layout.logs):
                folder.mkdir(exist_ok=True)
        except OSError as error:
            raise unwritable(self.root, error) from error

    def close(self) -> None:
        """Give the lock back."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def marker(self) -> RunMarker | None:
        """Return what run.json says; None: it isn't there or isn't one."""
        try:
            document = json.loads((self.root / MARKER_NAME).read_text(encoding="utf-8"))
            if document["runVersion"] != RUN_VERSION:
                return None
            annotations = {str(key): str(value) for key, value in document.get("annotations", {}).items()}
            return RunMarker(str(document["job"]), str(document["configuration"]), annotations)
        except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
            return None

    def previous_job(self) -> dict[str, Any] | None:
        """Return the resolved job of the last run; None: there was none."""
        marker = self.marker()
        if marker is None or not marker.configuration:
            return None
        try:
            document = json.loads(self.config_path(marker.configuration).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None  # its file is gone or spoilt: the manifests of the data decide what is still good
        return document if isinstance(document, dict) else None

    def config_path(self, configuration: str) -> Path:
        """Return where the resolved job with a hash is."""
        return self.layout.config / f"{configuration}.json"

    def current_config(self) -> Path:
        """Return the resolved job that `write_job` wrote last."""
        marker = self.marker()
        if marker is None:
            raise FileNotFoundError(self.root / MARKER_NAME)
        return self.config_path(marker.configuration)

    def write_job(self, job: PretrainJob, configuration: str) -> Path:
        """Write the resolved job, then remember it as the one that the directory is for. Raises OSError."""
        path = self.config_path(configuration)
        write_atomic(path, resolved_json(job) + "\n")
        before = self.marker()
        annotations = before.annotations if before is not None else {}
        write_atomic(self.root / MARKER_NAME, RunMarker(job.metadata.name, configuration, annotations).to_json())
        return path

    def request_rollback(self, request: str) -> None:
        """Keep a pretrain_api.wire.RollbackRequest (JSON) for the next run. Raises OSError.

        The directory need not be open: a run that works in it writes its marker at its beginning only.
        """
        marker = self.marker()
        if marker is None:
            raise FileNotFoundError(self.root / MARKER_NAME)
        annotations = {**marker.annotations, ANNOTATION_ROLLBACK: request}
        write_atomic(self.root / MARKER_NAME, replace(marker, annotations=annotations).to_json())

    def read_status(self) -> PretrainJobStatus:
        """Return the status as it was written last; a new one if there is none that can be read."""
        try:
            return PretrainJobStatus.model_validate_json(self.layout.status.read_bytes())
        except (OSError, ValidationError):
            return PretrainJobStatus()

    def write_status(self, status: PretrainJobStatus) -> None:
        """Write status.json. Raises OSError."""
        write_atomic(self.layout.status, status.model_dump_json(by_alias=True, exclude_none=True, indent=2) + "\n")

    def _recognise(self) -> None:
        """Refuse a directory with content of others."""
        if self.marker() is not None:
            return
        foreign = [entry.name for entry in self.root.iterdir() if entry.name not in (LOCK_NAME, MARKER_NAME)]
        if foreign:
            raise LocalRunError(
                f"{self.root} isn't empty and isn't the directory of a run: it holds {sorted(foreign)[0]}",
                "choose a new directory with --workdir",
            )

    def _take_lock(self) -> None:
        lock = (self.root / LOCK_NAME).open("a+", encoding="ascii")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.seek(0)
            owner = lock.read().strip()
            lock.close()
            raise LocalRunError(
                f"another run works in {self.root} (process {owner or 'not known'})",
                "wait for it, stop it, or choose another directory with --workdir",
            ) from error
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        self._lock = lock

    def _clear(self) -> None:
        """Remove what runs make, and nothing else. The marker goes last, so that an interrupted removal can go on."""
        for path in self.made_by_runs():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)

    def made_by_runs(self) -> list[Path]:
        """Return everything that a run writes, the marker last."""
        layout = self.layout
        return [
            layout.status,
            layout.completed,
            layout.completed_before,
            layout.config,
            layout.checkpoints,
            layout.data,
            layout.metrics,
            layout.metrics_discarded,
            layout.evaluations,
            layout.samples,
            layout.ledger,
            layout.model,
            layout.report,
            layout.logs,
            self.root / "supervisor.json",
            self.root / "timings",
            self.root / MARKER_NAME,
        ]


def unwritable(root: Path, error: OSError) -> LocalRunError:
    """Return the error for a directory that can't be written."""
    where = error.filename or root
    return LocalRunError(
        f"{where}: can't write: {error.strerror or error}", "make room or give rights, or choose another --workdir"
    )
