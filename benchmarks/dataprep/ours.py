"""This project's side, through the same functions and stages as a job's."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pretrain_api.names import PREPARATION_STAGES, Component
from pretrain_api.resolve import resolved_json
from pretrain_api.spec.data import Clean
from pretrain_api.spec.job import PretrainJob
from pretrain_api.wire import StorageLayout
from pretrain_dataprep.cleaning.sieve import Sieve
from pretrain_dataprep.context import load_context
from pretrain_dataprep.dedup import minhash
from pretrain_dataprep.dedup.shingles import Shingling
from pretrain_dataprep.stages import stage_function
from pretrain_dataprep.text.batch import TextBatch
from pretrain_dataprep.text.filters import filters_for

DEDUP_STAGES = (Component.CLEAN, Component.DEDUP_PAIRS, Component.DEDUP_CLUSTERS)


def cpu_seconds() -> float:
    """Return the CPU time of this process and of its children that ended."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def least(work: Callable[[], Any], repeats: int = 5) -> float:
    """Return the CPU seconds of the quickest of some calls, after one that warms up."""
    work()
    seconds = []
    for _ in range(repeats):
        began = cpu_seconds()
        work()
        seconds.append(cpu_seconds() - began)
    return min(seconds)


def filter_seconds(texts: list[str]) -> tuple[float, int]:
    """Measure the gopher preset, from strings to verdicts; return also the documents kept."""
    filters = filters_for(Clean(preset="gopher"), "en")

    def judge() -> int:
        sieve = Sieve(TextBatch.of(text.encode() for text in texts))
        sieve.filter(filters)
        return len(sieve.batch)

    return least(judge), judge()


def signature_seconds(texts: list[str]) -> float:
    """Measure MinHash, from strings to signatures of word 5-grams."""
    parameters = minhash.permutations(128)
    return least(lambda: minhash.signatures(TextBatch.of(text.encode() for text in texts), Shingling(5), parameters))


@dataclass
class Preparation:
    """A job that only prepares data."""

    root: Path
    data: dict[str, Any]

    def __post_init__(self) -> None:
        self.storage.mkdir(parents=True, exist_ok=True)
        spec = {"data": self.data}
        metadata = {"name": "bench"}
        document = {"apiVersion": "pretrain.dev/v1alpha1", "kind": "PretrainJob", "metadata": metadata, "spec": spec}
        self.job = PretrainJob.model_validate(document)
        (self.root / "job.json").write_text(resolved_json(self.job))

    @property
    def storage(self) -> Path:
        """Where the data goes."""
        return self.root / "storage"

    @property
    def layout(self) -> StorageLayout:
        """Where what is."""
        return StorageLayout(self.storage)

    def items(self, stage: str) -> range:
        """Return the work items of a stage."""
        indexed = stage in (Component.CLEAN, Component.DEDUP_PAIRS, Component.TOKENIZE)
        return range(self.job.spec.data.shards if indexed else 1)

    def _environment(self, index: int) -> dict[str, str]:
        return {
            "PRETRAIN_CONFIG": str(self.root / "job.json"),
            "PRETRAIN_STORAGE": str(self.storage),
            "PRETRAIN_HTTP_PORT": "0",
            "PRETRAIN_HTTP_ADDRESS": "127.0.0.1",
            "PRETRAIN_TERMINATION_LOG": str(self.root / "termination"),
            "JOB_COMPLETION_INDEX": str(index),
        }

    def call(self, stages: Iterable[str] = PREPARATION_STAGES) -> dict[str, float]:
        """Do stages in this process; return the CPU seconds of each."""
        seconds = {}
        for stage in stages:
            began = cpu_seconds()
            for index in self.items(stage):
                stage_function(stage)(load_context(stage, self._environment(index)))
            seconds[str(stage)] = cpu_seconds() - began
        return seconds

    def run(self, stage: str, workers: int) -> float:
        """Do a stage as a job does, its work items as processes, some at a time; return the seconds that pass."""
        began = time.perf_counter()
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(lambda index: self._process(stage, index), self.items(stage)))
        return time.perf_counter() - began

    def _process(self, stage: str, index: int) -> None:
        environment = {**os.environ, **self._environment(index)}
        command = [sys.executable, "-m", "pretrain_dataprep", stage]
        subprocess.run(command, env=environment, check=True, stderr=subprocess.DEVNULL)

    def kept(self) -> int:
        """Return the documents that the deduplication kept."""
        removed = sum(len(np.load(path)) for path in (self.layout.dedup / "clusters").glob("*.rows.npy"))
        total = sum(len(np.load(path, mmap_mode="r")) for path in self.layout.clean.glob("*/ids.npy"))
        return total - removed
