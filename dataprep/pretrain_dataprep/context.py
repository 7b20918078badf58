"""What a stage works with: the job, its storage, the work item, the counters."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pretrain_api.names import INDEXED_STAGES, Reason
from pretrain_api.spec.data import Data, Source
from pretrain_api.spec.job import PretrainJob
from pretrain_api.wire import ENV_COMPLETION_INDEX, ENV_CONFIG, ENV_STORAGE, StorageLayout
from pretrain_dataprep.errors import ConfigurationError
from pretrain_dataprep.progress import Progress

DEFAULT_SEED = 1234
"""Seed of a job without training; the default of spec.training.seed."""


def unit_name(source: str, shard: int) -> str:
    """Return the name of the unit of one source and shard."""
    return f"{source}-{shard:05d}"


@dataclass
class StageContext:
    """Everything a stage needs."""

    job: PretrainJob
    layout: StorageLayout
    index: int
    progress: Progress

    @classmethod
    def of(cls, job: PretrainJob, storage: Path, stage: str = "", index: int = 0) -> StageContext:
        """Return the context of a work item."""
        return cls(job, StorageLayout(storage), index, Progress(stage, index))

    @property
    def data(self) -> Data:
        """`spec.data`."""
        return self.job.spec.data

    @property
    def seed(self) -> int:
        """Seed of everything random."""
        training = self.job.spec.training
        return DEFAULT_SEED if training is None else training.seed

    @cached_property
    def units(self) -> list[tuple[Source, int]]:
        """All units of the job: sources in the job's order, each with all shards."""
        return [(source, shard) for source in self.data.sources for shard in range(self.data.shards)]


def load_context(stage: str, environment: Mapping[str, str]) -> StageContext:
    """Read the job and the environment. Raises ConfigurationError with the variable or file at fault."""
    job = _load_job(_required(environment, ENV_CONFIG))
    storage = Path(_required(environment, ENV_STORAGE))
    if not storage.is_dir():
        raise ConfigurationError(f"{storage}: the storage isn't there; mount it or create the directory")
    if not os.access(storage, os.W_OK):
        raise ConfigurationError(f"{storage}: no permission to write to the storage", Reason.STORAGE_NOT_WRITABLE)
    index = _index(stage, job, environment)
    return StageContext(job, StorageLayout(storage), index, Progress(stage, index))


def _required(environment: Mapping[str, str], name: str) -> str:
    value = environment.get(name, "")
    if not value:
        raise ConfigurationError(f"{name} isn't set; see docs/wire-formats.md")
    return value


def _load_job(path: str) -> PretrainJob:
    from pydantic import ValidationError

    from pretrain_api.resolve import load_resolved

    try:
        return load_resolved(path)
    except OSError as error:
        raise ConfigurationError(f"{path}: can't read the job: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigurationError(f"{path}: not a resolved job: {where}: {first['msg']}") from error


def _index(stage: str, job: PretrainJob, environment: Mapping[str, str]) -> int:
    if stage not in {component.value for component in INDEXED_STAGES}:
        return 0
    text = environment.get(ENV_COMPLETION_INDEX, "0")
    shards = job.spec.data.shards
    if not text.isdecimal() or int(text) >= shards:
        raise ConfigurationError(f"{ENV_COMPLETION_INDEX}={text}: must be a number from 0 to {shards - 1}")
    return int(text)
