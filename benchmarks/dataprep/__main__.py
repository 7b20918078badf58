"""`make bench-dataprep`: data preparation on one core, beside its peers on the same input in the same run."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.dataprep import ours
from benchmarks.dataprep.corpus import read_texts, write_corpus
from benchmarks.dataprep.environment import PEERS, peers_python, run_peer
from benchmarks.dataprep.redaction import plain_seconds, redaction_seconds
from benchmarks.dataprep.topics import CLUSTERS, topic_seconds, write_parts
from benchmarks.dataprep.training import bare_encoding_seconds, train_huggingface, train_sentencepiece
from benchmarks.figures import Figure, machine, markdown, show
from pretrain_api.names import Component

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks/results/dataprep.md"
NEAR = {"method": "minhash", "ngram": 5, "permutations": 128, "threshold": 0.8}
TWO_CORES_SHARDS = 4
TWO_CORES_MEGABYTES = 200
"""Enough that the stages which one process does, some seconds, leave room for 1.8 times the speed."""
_PACKAGES = ("numpy", "numba", "pyarrow", "sentencepiece")


def main() -> int:
    """Run it; print a table, or with JSON=1 a line a figure; write benchmarks/results/dataprep.md if asked to."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dataprep", description=__doc__)
    parser.add_argument("--megabytes", type=float, default=8.0, help="text to prepare (default: 8)")
    parser.add_argument("--only", help="a part of the names of the figures to measure")
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS.relative_to(ROOT)}")
    options = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory(prefix="bench-dataprep-") as name:
        bench = Bench(Path(name), round(options.megabytes * 1e6), cores)
        figures = []
        for figure in bench.measure(options.only or ""):
            figures.append(figure)
            print(f"{figure.name}: {figure.value:.3g} {figure.unit}", file=sys.stderr)
    show(figures)
    if options.write:
        RESULTS.write_text(document(figures, bench), encoding="utf-8")
    return 0 if all(figure.reached is not False for figure in figures) else 1


class Bench:
    """The corpus, the peers, and what is measured."""

    def __init__(self, folder: Path, size: int, cores: list[int]) -> None:
        self.folder = folder
        self.cores = cores
        self.corpus = folder / "corpus" / "corpus.jsonl"
        self.corpus.parent.mkdir()
        self.description = write_corpus(self.corpus, size)
        self.texts = read_texts(self.corpus)
        self.megabytes = sum(len(text.encode()) for text in self.texts) / 1e6
        self.notes: list[str] = []

    def measure(self, only: str) -> Iterator[Figure]:
        """Yield the figures whose name has `only` in it."""
        os.sched_setaffinity(0, {self.cores[-1]})
        os.environ["TOKENIZERS_PARALLELISM"] = "false"
        measures: dict[str, Callable[[], Iterator[Figure]]] = {
            "filters": self.filters,
            "redaction": self.redaction,
            "signatures": self.signatures,
            "deduplication": self.deduplication,
            "tokenize": self.tokenize,
            "pipeline": self.pipeline,
            "two cores": self.two_cores,
            "dedup-pairs": self.pairs,
            "clustering": self.clustering,
            "topics": self.topics,
        }
        for name, work in measures.items():
            if only in name:
                yield from work()

    def _peer(self, task: str, *arguments: str | Path) -> tuple[float, int]:
        """Return a peer's MB/s and its result."""
        found = run_peer(peers_python(), task, self.corpus, *arguments)
        return self.megabytes / found["seconds"], found["result"]

    def filters(self) -> Iterator[Figure]:
        """The gopher preset."""
        seconds, kept = ours.filter_seconds(self.texts)
        theirs, theirs_kept = self._peer("datatrove_filters")
        self.notes.append(f"gopher filters keep {kept:,} documents, datatrove's {theirs_kept:,}")
        yield Figure("gopher filters", self.megabytes / seconds, "MB/s", 20, "datatrove", theirs, goal_is_ratio=True)

    def redaction(self) -> Iterator[Figure]:
        """Personal data and secrets of all kinds; `re` alone on an eighth of the text."""
        some = self.texts[::8]
        plain = sum(len(text.encode()) for text in some) / 1e6 / plain_seconds(some)
        speed = self.megabytes / redaction_seconds(self.texts)
        yield Figure("redaction", speed, "MB/s", 10, "re", plain, goal_is_ratio=True)

    def signatures(self) -> Iterator[Figure]:
        """MinHash."""
        speed = self.megabytes / ours.signature_seconds(self.texts)
        yield Figure("MinHash signatures", speed, "MB/s", 150)
        for peer, goal in (("datasketch", 25), ("rensa", 1)):
            theirs, _ = self._peer(f"{peer}_signatures")
            yield Figure(f"MinHash signatures, {peer}", speed, "MB/s", goal, peer, theirs, goal_is_ratio=True)

    def deduplication(self) -> Iterator[Figure]:
        """From text to the list of what is kept."""
        data = {"shards": 1, "clean": {"preset": "none"}, "dedup": {"near": NEAR}}
        seconds, prepared = self._prepare("dedup", data, ours.DEDUP_STAGES)
        kept, speed = prepared.kept(), self.megabytes / sum(seconds.values())
        for peer in ("text_dedup", "datatrove_dedup"):
            theirs, theirs_kept = self._peer(peer, self.folder / peer)
            name = peer.removesuffix("_dedup").replace("text", "text-dedup")
            self.notes.append(f"deduplication keeps {kept:,} of {len(self.texts):,} documents, {name} {theirs_kept:,}")
            yield Figure(f"deduplication, {name}", speed, "MB/s", 10, name, theirs, goal_is_ratio=True)

    def tokenize(self) -> Iterator[Figure]:
        """From cleaned text to token files."""
        data = {"clean": {"preset": "none"}, "dedup": {"exact": "none", "near": None}, "split": {"validation": 0.0}}
        for library, model in (("SentencePiece", self._sentencepiece()), ("tokenizers", self._huggingface())):
            given = {**data, "shards": 1, "tokenizer": {"uri": str(model)}}
            seconds, _ = self._prepare("tokenize", given, [*ours.DEDUP_STAGES, Component.TOKENIZER, Component.TOKENIZE])
            bare = self.megabytes / bare_encoding_seconds(model, self.texts)
            speed = self.megabytes / seconds[Component.TOKENIZE]
            yield Figure(f"tokenize, {library}", speed, "MB/s", 0.95, library, bare, goal_is_ratio=True)

    def pipeline(self) -> Iterator[Figure]:
        """From text to token files: filters, deduplication, tokens."""
        data = {"shards": 1, "clean": {"preset": "gopher"}, "dedup": {"exact": "none", "near": NEAR}}
        stages = [*ours.DEDUP_STAGES, Component.TOKENIZER, Component.TOKENIZE]
        theirs, theirs_kept = self._peer("datatrove_pipeline", self.folder / "datatrove", self._huggingface())
        for library, model in (("SentencePiece", self._sentencepiece()), ("tokenizers", self._huggingface())):
            given = {**data, "tokenizer": {"uri": str(model)}, "split": {"validation": 0.0}}
            seconds, prepared = self._prepare("pipeline", given, stages)
            took = ", ".join(f"{name} {some:.2f}" for name, some in seconds.items())
            self.notes.append(f"text to tokens, {library}: {took} seconds")
            speed = self.megabytes / sum(seconds.values())
            yield Figure(f"text to tokens, {library}", speed, "MB/s", 10, "datatrove", theirs, goal_is_ratio=True)
        self.notes.append(f"the pipeline keeps {prepared.kept():,} documents, datatrove's {theirs_kept:,}")

    def two_cores(self) -> Iterator[Figure]:
        """From text to token files by processes, on one core and on two: start-up and stages of one process included.

        Every shard of every source is some of the text, so that no document is a duplicate within its source.
        """
        os.sched_setaffinity(0, set(self.cores[-2:]))
        if len(self.cores) < 2:
            self.notes.append("two cores weren't measured: there is one")
            return
        copies = max(1, round(TWO_CORES_MEGABYTES / self.megabytes))
        files = self._split_corpus()
        data = {
            "shards": TWO_CORES_SHARDS,
            "sources": [{"name": f"copy-{copy}", "uri": str(files), "language": "en"} for copy in range(copies)],
            "clean": {"preset": "gopher"},
            "dedup": {"near": NEAR, "scope": "within"},
            "tokenizer": {"uri": str(self._sentencepiece())},
        }
        stages = [*ours.DEDUP_STAGES, Component.TOKENIZER, Component.TOKENIZE]
        speeds = {}
        for workers in (2, 1):
            prepared = ours.Preparation(_emptied(self.folder / "cores"), data)
            before = ours.cpu_seconds()
            took = {stage: prepared.run(stage, workers) for stage in stages}
            used = ours.cpu_seconds() - before
            speeds[workers] = copies * self.megabytes / sum(took.values())
            each = ", ".join(f"{stage} {seconds:.1f}" for stage, seconds in took.items())
            size = f"{copies * self.megabytes:.0f} MB in {TWO_CORES_SHARDS} work items"
            by = f"by {workers} worker{'s' * (workers > 1)}"
            self.notes.append(f"{size} {by}, seconds that pass: {each}; {used:.1f} CPU seconds")
        yield Figure("two workers", speeds[2], "MB/s", 1.8, "one worker", speeds[1], goal_is_ratio=True)

    def pairs(self) -> Iterator[Figure]:
        """Memory of finding the pairs of ten million documents in one work item, in a process of its own."""
        command = [sys.executable, "-m", "benchmarks.dataprep.pairs"]
        found = json.loads(subprocess.check_output(command, cwd=ROOT))
        self.notes.append(
            f"pairs of {found['documents']:,} synthetic documents by {found['keys']:,} keys, {found['edges']:,} edges: "
            f"{found['seconds']:.1f} s"
        )
        yield Figure("dedup-pairs, memory", found["peakBytes"] / 2**20, "MiB", 1024)

    def clustering(self) -> Iterator[Figure]:
        """Memory of clustering ten million documents, in a process of its own."""
        command = [sys.executable, "-m", "benchmarks.dataprep.clustering"]
        found = json.loads(subprocess.check_output(command, cwd=ROOT))
        self.notes.append(
            f"clustering {found['documents']:,} synthetic documents with {found['edges']:,} edges: "
            f"{found['seconds']:.1f} s, {found['peakBytes'] / 1e6:,.0f} MB in all"
        )
        yield Figure("clustering, bytes a document", found["bytesADocument"], "bytes", 16)

    def topics(self) -> Iterator[Figure]:
        """Clusters by topic, of documents of 2,000 characters."""
        parts = self.folder / "parts.jsonl"
        count = write_parts(self.texts, parts)
        for name, seconds in zip(("clusters", "assignment"), topic_seconds(self.texts), strict=True):
            found = run_peer(peers_python(), f"scikit_learn_{name}", parts, str(CLUSTERS))
            speeds = self.megabytes / seconds, self.megabytes / found["seconds"]
            yield Figure(f"topics, {name}", speeds[0], "MB/s", None, "scikit-learn", speeds[1], goal_is_ratio=True)
        self.notes.append(f"topics: {CLUSTERS} clusters of {count:,} documents")

    def _prepare(self, name: str, data: dict[str, Any], stages: Any) -> tuple[dict[str, float], ours.Preparation]:
        """Do the stages three times; return the least CPU seconds of each."""
        sources = [{"name": "text", "uri": str(self.corpus), "language": "en"}]
        runs = []
        for _ in range(3):
            prepared = ours.Preparation(_emptied(self.folder / name), {"sources": sources, **data})
            runs.append(prepared.call(stages))
        return {stage: min(run[stage] for run in runs) for stage in runs[0]}, prepared

    def _sentencepiece(self) -> Path:
        path = self.folder / "tokenizer.model"
        return path if path.exists() else train_sentencepiece(self.texts, path)

    def _huggingface(self) -> Path:
        path = self.folder / "tokenizer.json"
        return path if path.exists() else train_huggingface(self.texts, path)

    def _split_corpus(self) -> Path:
        folder = _emptied(self.folder / "split")
        lines = self.corpus.read_text(encoding="utf-8").splitlines(keepends=True)
        for part in range(TWO_CORES_SHARDS):
            (folder / f"{part}.jsonl").write_text("".join(lines[part::TWO_CORES_SHARDS]), encoding="utf-8")
        return folder


def _emptied(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def document(figures: list[Figure], bench: Bench) -> str:
    """Return the results as a page."""
    notes = "".join(f"- {note}\n" for note in bench.notes)
    return (
        "# Data preparation\n\n"
        f"`make bench-dataprep ARGUMENTS=--write`, one core: {machine(_PACKAGES)}; peers: "
        f"{', '.join(PEERS)}.\n\n"
        f"{bench.description}. Speeds are bytes of text by CPU seconds of the processes (two workers: by the time that "
        "passes), without imports and start-up, the best of some runs for this project and one run of each peer. "
        "Signatures are of word 5-grams and 128 permutations, words to signature on all sides. Deduplication goes from "
        "JSON lines to the list of what is kept, at the same bands and rows. Tokenizers have 16,000 pieces; "
        f"datatrove's is the byte-level BPE of Hugging Face's tokenizers.\n\n{markdown(figures)}\n{notes}"
    )


if __name__ == "__main__":
    sys.exit(main())
