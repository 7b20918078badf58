"""Starting ranks as the supervisor does, on corpora made here: synthetic tokens, or real text of the standard
library."""

from __future__ import annotations

import json
import os
import pydoc_data.topics
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pretrain_api.resolve import resolved_json
from pretrain_api.spec.job import PretrainJob
from pretrain_api.wire import StorageLayout

SYNTHETIC_VOCABULARY = 256


def write_pair(prefix: Path, documents: Sequence[Sequence[int]]) -> int:
    """Write a .bin/.idx pair with uint16 tokens; return the number of tokens."""
    prefix.parent.mkdir(parents=True, exist_ok=True)
    tokens = np.concatenate([np.asarray(document, dtype=np.uint16) for document in documents])
    lengths = np.array([len(document) for document in documents], dtype=np.int32)
    tokens.tofile(prefix.with_name(prefix.name + ".bin"))
    offsets = (np.cumsum(lengths, dtype=np.int64) - lengths) * 2
    with prefix.with_name(prefix.name + ".idx").open("wb") as file:
        file.write(b"MMIDIDX\x00\x00" + (1).to_bytes(8, "little") + b"\x08")
        file.write(len(lengths).to_bytes(8, "little") + (len(lengths) + 1).to_bytes(8, "little"))
        for array in (lengths, offsets, np.arange(len(lengths) + 1, dtype=np.int64)):
            file.write(array.tobytes())
    return tokens.size


def synthetic_documents(seed: int, count: int, length: int = 200) -> list[list[int]]:
    """Return documents whose next token mostly follows from the last one: something a model can learn."""
    random = np.random.default_rng(seed)
    successor = np.random.default_rng(0).permutation(SYNTHETIC_VOCABULARY)
    documents = []
    for _ in range(count):
        document = [int(random.integers(SYNTHETIC_VOCABULARY))]
        for noise in random.random(length - 1):
            step = int(successor[document[-1]]) if noise < 0.9 else int(random.integers(SYNTHETIC_VOCABULARY))
            document.append(step)
        documents.append(document)
    return documents


def write_blend(
    storage: Path,
    sources: dict[str, tuple[list[list[int]], list[list[int]]]],
    vocab_size: int = SYNTHETIC_VOCABULARY,
    phases: list[dict[str, Any]] | None = None,
    special_tokens: dict[str, int] | None = None,
) -> None:
    """Write token files (two pairs a source, to be read across) and data/blend.json.

    Args:
        storage: The job's storage.
        sources: By name: training and validation documents.
        vocab_size: Size of the vocabulary.
        phases: Weights over the run; default: all sources alike.
        special_tokens: Ids by name.
    """
    entries = []
    for name, (train, validation) in sources.items():
        half = max(1, len(train) // 2)
        pairs = []
        for shard, documents in enumerate([train[:half], train[half:]]):
            if not documents:
                continue
            stem = f"data/tokenized/{name}-{shard:05d}"
            pair = {
                "train": f"{stem}.train",
                "trainTokens": write_pair(storage / f"{stem}.train", documents),
                "trainDocuments": len(documents),
            }
            if shard == 0 and validation:
                tokens = write_pair(storage / f"{stem}.validation", validation)
                pair |= {
                    "validation": f"{stem}.validation",
                    "validationTokens": tokens,
                    "validationDocuments": len(validation),
                }
            pairs.append(pair)
        entries.append(
            {
                "name": name,
                "trainTokens": sum(pair["trainTokens"] for pair in pairs),
                "trainDocuments": len(train),
                "validationTokens": sum(pair.get("validationTokens", 0) for pair in pairs),
                "validationDocuments": len(validation),
                "pairs": pairs,
            }
        )
    blend = {
        "fingerprint": "test",
        "dtype": "uint16",
        "vocabSize": vocab_size,
        "tokenizer": "data/tokenizer",
        "specialTokens": special_tokens or {},
        "sources": entries,
        "phases": phases or [{"fromTokens": 0, "weights": {name: 1 / len(sources) for name in sources}}],
    }
    StorageLayout(storage).blend.write_text(json.dumps(blend))


def synthetic_blend(storage: Path, documents: int = 150) -> None:
    """Write a blend of two learnable sources."""
    write_blend(
        storage,
        {
            "one": (synthetic_documents(1, documents), synthetic_documents(2, 10)),
            "two": (synthetic_documents(3, documents // 2), synthetic_documents(4, 10)),
        },
    )


def real_text() -> list[str]:
    """Return documents of real English that every Python has."""
    return [text for _, text in sorted(pydoc_data.topics.topics.items())]


def real_text_blend(storage: Path, vocab_size: int = 1000) -> None:
    """Train a SentencePiece model on the text of `real_text` and write its tokens."""
    import sentencepiece

    directory = storage / "data/tokenizer"
    directory.mkdir(parents=True)
    texts = real_text()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=(line for text in texts for line in text.splitlines() if line.strip()),
        model_prefix=str(directory / "tokenizer"),
        vocab_size=vocab_size,
        model_type="bpe",
        byte_fallback=True,
        character_coverage=0.9995,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        pad_id=0,
        unk_id=1,
        bos_id=2,
        eos_id=3,
        minloglevel=2,
    )
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(directory / "tokenizer.model"))
    documents = [[*pieces.encode(text), 3] for text in texts]
    write_blend(
        storage,
        {"topics": (documents[5:], documents[:5])},
        vocab_size=vocab_size,
        special_tokens={"pad": 0, "unk": 1, "bos": 2, "eos": 3},
    )


def job(storage: Path, **changes: Any) -> Path:
    """Write the resolved configuration of a tiny job; return its path.

    Args:
        storage: The job's storage.
        changes: By path with "__" for ".": `training__tokens=1000` replaces spec.training.tokens.
    """
    spec: dict[str, Any] = {
        "data": {"sources": [{"name": "one", "uri": "sample://python"}]},
        "model": {
            "hiddenSize": 64,
            "intermediateSize": 128,
            "numHiddenLayers": 2,
            "numAttentionHeads": 4,
            "numKeyValueHeads": 2,
        },
        "training": {
            "tokens": 16 * 32 * 20,
            "sequenceLength": 32,
            "microBatchSize": 4,
            "batch": {"stages": [{"tokens": 8 * 32, "from": 0}, {"tokens": 16 * 32, "from": 16 * 32 * 5}]},
            "learningRate": {"peak": 3e-3, "warmupTokens": 512},
            "precision": "fp32",
            "parallelism": {"zero": 1},
            "evaluation": {"maxSequences": 8, "samples": {"newTokens": 8}},
        },
        "checkpoint": {"everySteps": 5, "everyMinutes": None, "keepLast": 3},
        "stability": {"spike": {"window": 16, "warmupSteps": 20, "healthyAfterSteps": 5}},
    }
    for path, value in changes.items():
        target = spec
        *parents, last = path.split("__")
        for parent in parents:
            target = target.setdefault(parent, {})
        target[last] = value
    document = {
        "apiVersion": "pretrain.dev/v1alpha1",
        "kind": "PretrainJob",
        "metadata": {"name": "test"},
        "spec": spec,
    }
    path = storage / "job.json"
    path.write_text(resolved_json(PretrainJob.model_validate(document)))
    return path


def free_port() -> int:
    """Return a port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Ranks:
    """The processes of a run."""

    storage: Path
    run_directory: Path
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    logs: list[Path] = field(default_factory=list)

    def wait(self, timeout_seconds: float = 280) -> list[int]:
        """Return the exit codes."""
        deadline = time.monotonic() + timeout_seconds
        return [process.wait(max(0.1, deadline - time.monotonic())) for process in self.processes]

    def send(self, number: signal.Signals, ranks: Sequence[int] | None = None) -> None:
        """Send a signal to all ranks, or to some."""
        for rank, process in enumerate(self.processes):
            if ranks is None or rank in ranks:
                process.send_signal(number)

    def result(self, rank: int = 0) -> dict[str, Any]:
        """Return a rank's termination message."""
        result: dict[str, Any] = json.loads((self.run_directory / f"result-{rank}.json").read_text())
        return result

    def log(self) -> str:
        """Return what the ranks wrote."""
        return "\n".join(f"--- {path.name}\n{path.read_text(errors='replace')}" for path in self.logs)

    def end(self) -> None:
        """Kill what still runs."""
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait()


def start_ranks(storage: Path, config: Path, count: int = 2, environment: dict[str, str] | None = None) -> Ranks:
    """Start `count` ranks on this machine, as the supervisor does."""
    run_directory = storage / "run"
    run_directory.mkdir(exist_ok=True)
    for old in run_directory.glob("result-*"):
        old.unlink()
    ranks = Ranks(storage, run_directory)
    port = free_port()
    for rank in range(count):
        variables = {
            "RANK": str(rank),
            "LOCAL_RANK": str(rank),
            "WORLD_SIZE": str(count),
            "LOCAL_WORLD_SIZE": str(count),
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port),
            "PRETRAIN_CONFIG": str(config),
            "PRETRAIN_STORAGE": str(storage),
            "PRETRAIN_RUN_DIRECTORY": str(run_directory),
            "OMP_NUM_THREADS": "1",
        }
        log = run_directory / f"rank-{rank}.log"
        ranks.logs.append(log)
        with log.open("wb") as output:
            ranks.processes.append(
                subprocess.Popen(
                    [sys.executable, "-m", "pretrain_trainer.rank"],
                    env={**os.environ, **variables, **(environment or {})},
                    stdout=output,
                    stderr=output,
                )
            )
    return ranks


def run_ranks(storage: Path, config: Path, count: int = 2, expect: int = 0, **options: Any) -> Ranks:
    """Start ranks, wait for them, check their exit codes."""
    ranks = start_ranks(storage, config, count, **options)
    try:
        codes = ranks.wait()
    finally:
        ranks.end()
    assert codes == [expect] * count, f"exit codes {codes}\n{ranks.log()}"
    return ranks


def wait_until(condition: Callable[[], bool], ranks: Ranks, timeout_seconds: float = 90) -> None:
    """Wait for a condition while the ranks run.

    Raises:
        AssertionError: They ended, or time is up.
    """
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        assert any(process.poll() is None for process in ranks.processes), ranks.log()
        assert time.monotonic() < deadline, ranks.log()
        time.sleep(0.01)


def lines(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a JSON Lines file."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def losses(storage: Path) -> list[tuple[int, float, float]]:
    """Return (step, loss, gradient norm) of each line of the metrics."""
    return [(line["step"], line["loss"], line["gradientNorm"]) for line in lines(storage / "metrics.jsonl")]


def events(storage: Path, name: str) -> list[dict[str, Any]]:
    """Return the ledger's events of one kind."""
    return [line for line in lines(storage / "ledger.jsonl") if line["event"] == name]
