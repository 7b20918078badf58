"""Storages of jobs as the preparation and the trainer leave them, made by a small simulation."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pretrain_api.wire import StorageLayout

START = datetime(2026, 1, 31, 23, 58, 0, tzinfo=UTC)
STAGES = ((0, 2048), (120, 4096), (220, 8192))
SEQUENCE_LENGTH = 128
TOTAL_STEPS = 320

JOB: dict[str, Any] = {
    "apiVersion": "pretrain.dev/v1alpha1",
    "kind": "PretrainJob",
    "metadata": {"name": "quickstart", "namespace": "research"},
    "spec": {
        "data": {"sources": [{"name": "web", "uri": "/corpus/web/*.jsonl"}, {"name": "wiki", "uri": "/corpus/wiki"}]},
        "model": {"family": "llama", "hiddenSize": 192},
        "training": {"tokens": 1_228_800, "evaluation": {"samples": {"count": 3}}, "sequenceLength": SEQUENCE_LENGTH},
    },
}


def time_of(seconds: float) -> str:
    return (START + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")


def batch_stage(step: int) -> int:
    return max(index for index, (start, _) in enumerate(STAGES) if step >= start)


def metric(step: int, noise: random.Random, bump: float = 0.0) -> dict[str, Any]:
    """A line of metrics.jsonl: a loss that falls like a power law, with the noise that small batches have."""
    tokens = sum(STAGES[batch_stage(one)][1] for one in range(step))
    stage = batch_stage(step)
    return {
        "step": step,
        "totalSteps": TOTAL_STEPS,
        "sequences": tokens // SEQUENCE_LENGTH,
        "tokens": tokens,
        "totalTokens": 1_228_800,
        "loss": 3.4 + 4.9 * math.exp(-step / 60) + noise.gauss(0, 0.12) + bump,
        "learningRate": 3e-3 * min(1.0, step / 32) * (0.55 + 0.45 * math.cos(math.pi * step / TOTAL_STEPS)),
        "gradientNorm": math.exp(noise.gauss(-0.3, 0.25)) * (1 + 2 * bump),
        "tokensPerSecond": noise.gauss(6200, 250) * (1 + stage * 0.2),
        "batchStage": stage,
        "batchTokens": STAGES[stage][1],
        "worldSize": 2,
        "numNodes": 1,
        "lastUpdatedTime": time_of(60 + step * 0.6),
    }


def event(seconds: float, name: str, step: int | None = None, message: str = "", **fields: Any) -> dict[str, Any]:
    place = {} if step is None else {"step": step, "tokens": step * 4096, "sequences": step * 32}
    return {"time": time_of(seconds), "event": name, **place, "wallSeconds": seconds, "message": message, **fields}


def write_lines(path: Path, records: Iterable[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))


def data_report() -> dict[str, Any]:
    def source(name: str, read: int, seed: int) -> dict[str, Any]:
        counts = {"too-short": read // 11, "symbols": read // 90, "repetition": read // 40}
        duplicates = {"exact-duplicate": read // 35, "near-duplicate": read // 12}
        removed = [
            {
                "stage": stage,
                "reason": reason,
                "documents": documents,
                "samples": [f"{reason}: see <b>above</b> & below"],
            }
            for stage, reasons in (("clean", counts), ("dedup", duplicates))
            for reason, documents in reasons.items()
        ]
        kept = read - sum(one["documents"] for one in removed)
        return {
            "name": name,
            "uri": f"/corpus/{name}/*.jsonl",
            "license": "CC-BY-SA",
            "language": "en",
            "files": 12,
            "uneven": "one worker reads 3.8 times the mean of all" if seed == 1 else None,
            "documentsRead": read,
            "bytesRead": read * 1900,
            "badRecords": 7 * seed,
            "badRecordSamples": [f"/corpus/{name}/part-3.jsonl:{line}: not JSON" for line in (17, 40)],
            "removed": removed,
            "redacted": {"email": 41, "ip": 12},
            "removedLines": {"no-terminal-punctuation": 700 * seed, "too-few-words": 90},
            "tagged": {"toxic": 3},
            "languages": {"en": read // 2, "de": read // 8, "is": 4},
            "languageBytes": {"en": read * 900, "de": read * 240, "is": 8000},
            "documentsKept": kept,
            "bytesKept": kept * 1850,
            "trainTokens": kept * 520,
            "validationTokens": kept * 10,
            "plannedEpochs": 1.37,
            "lengthHistogram": {
                str(2**power): int(kept * math.exp(-((power - 10) ** 2) / 6) / 4) for power in range(6, 17)
            },
        }

    return {
        "sources": [source("web", 9140, 1), source("wiki", 2210, 2)],
        "stages": [
            {
                "name": "clean",
                "items": 8,
                "documentsIn": 11350,
                "documentsOut": 9800,
                "bytesIn": 21_000_000,
            },
            {"name": "tokenize", "items": 8, "documentsIn": 8700, "documentsOut": 8700},
        ],
        "duplicateClusters": {
            "exact": {"2": 170, "3": 21, "7": 1},
            "all": {"2": 420, "3": 80, "4": 31, "12": 3, "70": 1},
        },
        "topicClusterCap": 900,
        "topicClusters": [
            {"words": ["river", "<b>boat</b>"], "documents": 5200, "kept": 900},
            *({"words": [f"topic{number}"], "documents": 40, "kept": 40} for number in range(40)),
            {"words": [], "documents": 5, "kept": 5},
        ],
        "cutBytes": 92154,
        "contamination": {"/eval/questions.jsonl:7": 12, "/eval/questions.jsonl:3": 1, "s3://eval/more.jsonl:1": 2},
        "vocabSize": 4096,
        "settings": {"bands": 9, "rows": 13, "tokenizer": "sentencepiece-bpe", "bytesPerToken": 3.61},
    }


def ledger(with_rollback: bool) -> list[dict[str, Any]]:
    events = [
        event(31, "data-prepared", message="8,700 documents, 4.6 M tokens"),
        event(38, "start", 0, "2 processes on 1 node", environment={"torch": "2.15.0", "device": "cpu"}),
    ]
    events += [
        event(60 + step * 0.6, "checkpoint", step, uri=f"checkpoints/step-{step:09d}") for step in range(50, 301, 50)
    ]
    events += [event(60 + step * 0.6 + 12, "checkpoint-promoted", step) for step in range(50, 301, 50)]
    events += [
        event(60 + start * 0.6, "stage-change", start, f"batch of {size:,} tokens") for start, size in STAGES[1:]
    ]
    if with_rollback:
        skipped = {"from": 5120, "to": 6016}
        details = {"detectedAtStep": 171, "resumedFromStep": 150, "reason": "LossSpike", "loss": 9.41, "baseline": 3.66}
        events += [
            event(164, "spike", 171, "loss 9.41 is 41 deviations above 3.66"),
            event(
                165, "rollback", 150, "back to step 150, skipping 896 sequences", skippedSequences=skipped, **details
            ),
            event(178, "verdict", 190, "the loss is back at its baseline", recovered=True),
        ]
    events.append(event(60 + TOTAL_STEPS * 0.6, "complete", TOTAL_STEPS, "validation loss 3.52"))
    return sorted(events, key=lambda one: one["time"])


class JobStorage:
    """A job's storage with its resolved job beside it."""

    def __init__(self, root: Path) -> None:
        self.layout = StorageLayout(root / "job")
        self.layout.root.mkdir(parents=True)
        self.layout.data.mkdir()
        self.config = root / "job.json"
        self.write_job(JOB)

    def write_job(self, job: dict[str, Any]) -> None:
        self.job = job
        self.config.write_text(json.dumps(job))

    def write_data(self) -> None:
        self.layout.data_report.write_text(json.dumps(data_report()))

    def write_training(self, steps: int = TOTAL_STEPS, rollback: bool = True) -> None:
        noise = random.Random(3)
        write_lines(self.layout.metrics, (metric(step, noise) for step in range(1, steps + 1)))
        if rollback:
            taken_back = []
            for step in range(151, 172):
                bump = 0.0 if step < 163 else 5.5 * math.exp(-((step - 166) ** 2) / 60)
                taken_back.append({**metric(step, noise, bump), "rollback": 1})
            taken_back[-1]["loss"] = None
            write_lines(self.layout.metrics_discarded, taken_back)
        write_lines(self.layout.ledger, ledger(rollback))
        write_lines(
            self.layout.evaluations,
            (
                {
                    "step": step,
                    "tokens": step * 4096,
                    "validationLoss": 3.5 + 4.9 * math.exp(-step / 60),
                    "perSource": {"web": 3.6 + 4.9 * math.exp(-step / 60), "wiki": 3.3 + 4.9 * math.exp(-step / 60)},
                }
                for step in (64, 128, 192, 256, 320)
                if step <= steps
            ),
        )

    def write_ending(self) -> None:
        samples = [
            {
                "prompt": "The assert statement",
                "text": " is a convenient way to insert <debugging> into a program:\n\n  x = 1",
            },
            {"prompt": "Return the", "text": " number of items in the sequence.  See also the list of"},
            {"prompt": "", "text": 'def close(self):\n    """Close the file."""\n    if self.fp is not None:\n'},
        ]
        self.layout.samples.write_text(json.dumps(samples))
        self.layout.completed.write_text(json.dumps({"step": TOTAL_STEPS, "goodput": 0.948}))


def finish(storage: JobStorage) -> JobStorage:
    storage.write_data()
    storage.write_training()
    storage.write_ending()
    return storage


@pytest.fixture
def storage(tmp_path: Path) -> JobStorage:
    """An empty storage of a job that is meant to train."""
    return JobStorage(tmp_path)


@pytest.fixture
def finished(storage: JobStorage) -> JobStorage:
    """A job that completed after a rollback."""
    return finish(storage)


@pytest.fixture(scope="session")
def make_finished(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], JobStorage]:
    """Make storages like `finished`, for tests that share one."""
    return lambda: finish(JobStorage(tmp_path_factory.mktemp("storage")))
