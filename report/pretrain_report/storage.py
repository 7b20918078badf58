"""What a job left in its storage, read so that a missing or damaged part never takes the others with it."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import orjson
from pydantic import BaseModel, ValidationError

from pretrain_api.status import PretrainJobStatus
from pretrain_api.wire import DataReport, StageReport, StorageLayout
from pretrain_report.series import Discarded, Metrics, collect_discarded, collect_metrics

_PROGRESS_LINES = 10_000
_PROGRESS_SECONDS = 2.0
ModelType = TypeVar("ModelType", bound=BaseModel)


@dataclass
class Records:
    """Everything a report is made of; what isn't there is None or empty."""

    job: dict[str, Any]
    data_report: DataReport | None = None
    timings: list[StageReport] = field(default_factory=list)
    """Seconds of work items by stage, summed over them."""
    metrics: Metrics | None = None
    discarded: list[Discarded] = field(default_factory=list)
    evaluations: list[dict[str, Any]] = field(default_factory=list)
    samples: list[dict[str, Any]] = field(default_factory=list)
    ledger: list[dict[str, Any]] = field(default_factory=list)
    completed: dict[str, Any] | None = None
    status: PretrainJobStatus | None = None
    problems: list[str] = field(default_factory=list)
    """Files that are there and can't be used: `file:line: cause`."""

    @property
    def name(self) -> str:
        """The job's name."""
        return str(_mapping(self.job.get("metadata")).get("name") or "unnamed job")

    @property
    def spec(self) -> dict[str, Any]:
        """`spec` of the job."""
        return _mapping(self.job.get("spec"))


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def read_records(job: dict[str, Any], layout: StorageLayout) -> Records:
    """Read a job's storage. Damaged files are listed in `problems`, and so are lines that were left out."""
    reader = _Reader(layout)
    return Records(
        job,
        data_report=reader.model(layout.data_report, DataReport),
        timings=reader.models(layout.root / "timings" / "stages.json", StageReport),
        metrics=collect_metrics(reader.lines(layout.metrics)),
        discarded=collect_discarded(reader.lines(layout.metrics_discarded)),
        evaluations=sorted(_newest_by_step(reader.lines(layout.evaluations)), key=lambda one: one["step"]),
        samples=[one for one in reader.json(layout.samples, list) or [] if isinstance(one, dict)],
        ledger=[one for one in reader.lines(layout.ledger) if "event" in one],
        completed=reader.json(layout.completed, dict),
        status=reader.model(layout.status, PretrainJobStatus),
        problems=reader.problems,
    )


def _newest_by_step(records: Iterator[dict[str, Any]]) -> list[dict[str, Any]]:
    """An evaluation that a rollback took back is followed by another one of the same step."""
    return list({one["step"]: one for one in records if isinstance(one.get("step"), int)}.values())


class _Reader:
    def __init__(self, layout: StorageLayout) -> None:
        self.layout = layout
        self.problems: list[str] = []
        self._said_at = time.monotonic()

    def json(self, path: Path, kind: type) -> Any:
        """Return the content of a JSON file of the given type; None where it isn't there or can't be used."""
        try:
            value = json.loads(path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            self._problem(path, error)
            return None
        if not isinstance(value, kind):
            self._problem(path, f"holds no {kind.__name__}")
            return None
        return value

    def model(self, path: Path, model: type[ModelType]) -> ModelType | None:
        value = self.json(path, dict)
        return None if value is None else self._validated(path, model, value)

    def models(self, path: Path, model: type[ModelType]) -> list[ModelType]:
        """Return a list of objects; those that can't be used are left out."""
        found = [self._validated(path, model, value) for value in self.json(path, list) or []]
        return [one for one in found if one is not None]

    def _validated(self, path: Path, model: type[ModelType], value: Any) -> ModelType | None:
        try:
            return model.model_validate(value)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            self._problem(path, f"{where}: {first['msg']}")
            return None

    def lines(self, path: Path) -> Iterator[dict[str, Any]]:
        """Yield the objects of a file of JSON lines; a torn last line is what a running or killed job leaves."""
        bad: list[int] = []
        number = 0
        try:
            with path.open("rb") as file:
                for number, line in enumerate(file, start=1):
                    if number % _PROGRESS_LINES == 0:
                        self._progress(path, file.tell())
                    record = _parse(line)
                    if record is None:
                        bad.append(number)
                    else:
                        yield record
        except FileNotFoundError:
            return
        except OSError as error:
            self._problem(path, error)
        if bad and bad != [number]:
            where = f"line {bad[0]}" if len(bad) == 1 else f"{len(bad)} lines, the first of them line {bad[0]},"
            self._problem(path, f"{where} can't be read and {'is' if len(bad) == 1 else 'are'} left out")

    def _progress(self, path: Path, position_bytes: int) -> None:
        """Say how far the reading is, every two seconds at most."""
        now = time.monotonic()
        if now - self._said_at >= _PROGRESS_SECONDS:
            self._said_at = now
            share = position_bytes / max(1, path.stat().st_size)
            print(f"report: reading {self.layout.relative(path)}: {share:.0%}", file=sys.stderr, flush=True)

    def _problem(self, path: Path, cause: object) -> None:
        if isinstance(cause, OSError):
            cause = cause.strerror or cause
        self.problems.append(f"{self.layout.relative(path)}: {cause}")


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        record = orjson.loads(line)
    except ValueError:
        try:
            record = json.loads(line)  # takes NaN and Infinity, too
        except ValueError:
            return None
    return record if isinstance(record, dict) else None
