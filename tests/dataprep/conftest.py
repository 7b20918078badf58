"""A driver for the preparation's stages as the processes that they are, and a small corpus with planted duplicates."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from pretrain_api.names import INDEXED_STAGES, PREPARATION_STAGES
from pretrain_api.resolve import resolved_json
from pretrain_api.spec.job import PretrainJob
from pretrain_api.wire import StorageLayout
from pretrain_dataprep.context import load_context
from pretrain_dataprep.dedup.layout import rows_name
from pretrain_dataprep.stages import stage_function


@dataclass
class Outcome:
    """How a process ended."""

    code: int
    log: str
    message: dict[str, Any]


@dataclass
class Preparation:
    """A job, its storage, and a way to run work items."""

    root: Path
    data: dict[str, Any]
    training: dict[str, Any] | None = None
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.storage.mkdir(parents=True, exist_ok=True)

    @property
    def storage(self) -> Path:
        return self.root / "storage"

    @property
    def layout(self) -> StorageLayout:
        return StorageLayout(self.storage)

    @property
    def job(self) -> PretrainJob:
        spec: dict[str, Any] = {"data": self.data}
        if self.training is not None:
            spec |= {"model": {"preset": "llama-7b"}, "training": self.training}
        return PretrainJob.model_validate(
            {"apiVersion": "pretrain.dev/v1alpha1", "kind": "PretrainJob", "metadata": {"name": "test"}, "spec": spec}
        )

    @property
    def shards(self) -> int:
        return self.job.spec.data.shards

    def variables(self, stage: str, index: int = 0) -> dict[str, str]:
        """Return the environment of a work item."""
        config = self.root / "job.json"
        if not config.exists() or config.read_text() != resolved_json(self.job):
            config.write_text(resolved_json(self.job))
        return {
            "PRETRAIN_CONFIG": str(config),
            "PRETRAIN_STORAGE": str(self.storage),
            "PRETRAIN_HTTP_PORT": "0",
            "PRETRAIN_HTTP_ADDRESS": "127.0.0.1",
            "PRETRAIN_TERMINATION_LOG": str(self.root / f"{stage}-{index}.termination"),
            "JOB_COMPLETION_INDEX": str(index),
            **self.environment,
        }

    def call(self, stage: str, index: int = 0) -> dict[str, int]:
        """Do a work item in this process: quicker, and exceptions come through."""
        return stage_function(stage)(load_context(stage, self.variables(stage, index)))

    def call_all(self) -> None:
        """Do everything in this process."""
        for stage in PREPARATION_STAGES:
            for index in self.items(stage):
                self.call(stage, index)

    def start(self, stage: str, index: int = 0) -> subprocess.Popen[str]:
        """Start a work item."""
        environment = {**os.environ, **self.variables(stage, index)}
        (self.root / f"{stage}-{index}.termination").unlink(missing_ok=True)
        command = [sys.executable, "-m", "pretrain_dataprep", stage]
        return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)

    def run(self, stage: str, index: int = 0) -> Outcome:
        """Do a work item."""
        process = self.start(stage, index)
        _, log = process.communicate(timeout=300)
        path = self.root / f"{stage}-{index}.termination"
        return Outcome(process.returncode, log, json.loads(path.read_bytes()) if path.exists() else {})

    def items(self, stage: str) -> range:
        """Work items of a stage."""
        return range(self.shards if stage in INDEXED_STAGES else 1)

    def run_stage(self, stage: str, workers: int = 2, order: random.Random | None = None) -> list[Outcome]:
        """Do all work items of a stage, some at a time, in any order."""
        indices = list(self.items(stage))
        if order is not None:
            order.shuffle(indices)
        with ThreadPoolExecutor(workers) as pool:
            return list(pool.map(lambda index: self.run(stage, index), indices))

    def run_all(self, workers: int = 2, order: random.Random | None = None) -> None:
        """Do everything; fail on the first stage that fails."""
        for stage in PREPARATION_STAGES:
            for outcome in self.run_stage(stage, workers, order):
                assert outcome.code == 0, f"{stage}: {outcome.log}"

    def files(self) -> dict[str, bytes]:
        """All files of the prepared data by relative path."""
        return {
            str(path.relative_to(self.storage)): path.read_bytes()
            for path in sorted(self.layout.data.rglob("*"))
            if path.is_file()
        }


@pytest.fixture
def preparation(tmp_path: Path) -> Callable[..., Preparation]:
    """Return a maker of preparations, each in a directory of its own."""

    def make(name: str = "one", training: dict[str, Any] | None = None, **data: Any) -> Preparation:
        root = tmp_path / name
        root.mkdir(exist_ok=True)
        defaults: dict[str, Any] = {
            "shards": 2,
            "tokenizer": {"train": {"vocabSize": 600}},
            "split": {"validation": 0.1},
        }
        return Preparation(root, {**defaults, **data}, training)

    return make


WORDS = [
    "the",
    "be",
    "to",
    "of",
    "and",
    "that",
    "have",
    "with",
    "river",
    "stone",
    "bridge",
    "window",
    "garden",
    "morning",
    "evening",
    "letter",
    "number",
    "system",
    "process",
    "memory",
    "engine",
    "signal",
    "pattern",
    "winter",
    "summer",
    "market",
    "village",
    "teacher",
    "student",
    "question",
    "answer",
    "reason",
    "result",
    "method",
    "measure",
    "weight",
    "height",
    "travel",
    "journey",
    "mountain",
    "valley",
    "ocean",
    "island",
    "forest",
    "animal",
    "silver",
    "golden",
    "quiet",
    "loud",
    "bright",
]


def sentence(generator: random.Random, words: int) -> str:
    """Return a sentence of random words."""
    return " ".join(generator.choice(WORDS) for _ in range(words)).capitalize() + "."


def article(generator: random.Random, sentences: int = 12) -> str:
    """Return a document."""
    return "\n".join(sentence(generator, generator.randint(6, 14)) for _ in range(sentences))


def corpus(seed: int, documents: int = 120) -> list[str]:
    """Return documents: some exact duplicates, some with one word changed, some too short, some with addresses."""
    generator = random.Random(seed)
    texts = [article(generator, generator.randint(8, 30)) for _ in range(documents)]
    texts += [texts[0], texts[1], texts[2].replace("the", "a", 1), texts[3] + "\nOne more line."]
    texts += ["too short", texts[4] + "\nMail someone@example.org or call +49 30 1234567."]
    generator.shuffle(texts)
    return texts


def write_jsonl(path: Path, texts: list[str]) -> Path:
    """Write documents as JSON lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps({"text": text, "n": n}) + "\n" for n, text in enumerate(texts)))
    return path


@pytest.fixture
def small_corpus(tmp_path: Path) -> Path:
    """A directory with JSON lines and text files, with duplicates within and across them."""
    folder = tmp_path / "corpus"
    for number in range(4):
        write_jsonl(folder / f"part-{number}.jsonl", corpus(number))
    write_jsonl(folder / "part-9.jsonl", corpus(0)[:20])
    generator = random.Random(99)
    for number in range(6):
        (folder / f"text-{number}.txt").write_text(article(generator, 20))
    return folder


def kept_texts(prepared: Preparation) -> list[str]:
    """Return what the deduplication left, sorted."""
    kept = []
    for folder in prepared.layout.clean.iterdir():
        texts = pq.read_table(folder / "documents.parquet").column("text").to_pylist()
        removed = set(np.load(prepared.layout.dedup / "clusters" / rows_name(folder.name)).tolist())
        kept += [text for row, text in enumerate(texts) if row not in removed]
    return sorted(kept)
