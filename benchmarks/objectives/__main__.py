"""`make bench-objectives`: samples of each objective, built on one core from memory-mapped files, beside its peers."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.figures import Figure, machine, markdown, show
from benchmarks.objectives import peers
from benchmarks.objectives.building import batches_of
from benchmarks.objectives.corpus import write_corpus
from pretrain_api.objectives import ModelKind
from pretrain_api.wire import Blend

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks/results/objectives.md"
DOCUMENTS, TOKENS_A_DOCUMENT = 40_000, 500
MANY_DOCUMENTS, FEW_DOCUMENTS = 10_000_000, 10_000
SHORT_DOCUMENT = 100
BATCH, REPEATS, SECONDS_A_REPEAT = 16, 7, 0.4
PYTHON = "loop in Python"
COLLATOR = "transformers' collator"


class Case(NamedTuple):
    """What is measured: an objective and whom it is compared with."""

    name: str
    kind: ModelKind
    objective: dict[str, Any]
    length: int
    goal: float
    peer_name: str
    peer: Callable[[], peers.Peer] | None = None
    """Makes the peer."""


CASES = (
    Case(
        "causal",
        "decoder",
        {"type": "causal-lm"},
        2048,
        20e6,
        COLLATOR,
        lambda: peers.transformers_collator(masked=False),
    ),
    Case("prefix", "decoder", {"type": "prefix-lm"}, 2048, 3e6, ""),
    Case("fill-in-the-middle", "decoder", {"type": "fill-in-the-middle"}, 2048, 5e6, PYTHON, lambda: peers.middles),
    Case(
        "masked tokens",
        "encoder",
        {"type": "masked-lm"},
        512,
        3e6,
        COLLATOR,
        lambda: peers.transformers_collator(masked=True),
    ),
    Case(
        "masked words",
        "encoder",
        {"type": "masked-lm", "maskUnit": "word"},
        512,
        3e6,
        PYTHON,
        lambda: peers.masked_words,
    ),
    Case("span corruption", "encoder-decoder", {"type": "span-corruption"}, 512, 3e6, PYTHON, lambda: peers.spans),
    Case(
        "mixture of denoisers",
        "encoder-decoder",
        {"type": "mixture-of-denoisers"},
        512,
        3e6,
        PYTHON,
        lambda: peers.denoisers,
    ),
)


def main() -> int:
    """Run it; print a table, or with JSON=1 a line a figure; write benchmarks/results/objectives.md if asked to."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.objectives", description=__doc__)
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS.relative_to(ROOT)}")
    options = parser.parse_args()
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    figures = list(measure())
    show(figures)
    if options.write:
        RESULTS.write_text(document(figures), encoding="utf-8")
    return 0 if all(figure.reached is not False for figure in figures) else 1


def measure() -> Iterator[Figure]:
    """Yield all figures."""
    with tempfile.TemporaryDirectory(prefix="bench-objectives-") as name:
        folder = Path(name)
        blend = write_corpus(folder, DOCUMENTS, TOKENS_A_DOCUMENT)
        for case in CASES:
            yield throughput(case, blend, folder)
        yield from opening(folder)


def throughput(case: Case, blend: Blend, folder: Path) -> Figure:
    """Measure one objective: tokens of text a second, files to arrays; the peer gets its windows ready."""
    batches = batches_of(blend, folder, case.kind, case.objective, case.length)
    window = batches.window
    position = 0

    def ours() -> None:
        nonlocal position
        batches.read_consumed(position, BATCH)
        position += BATCH

    value = window * BATCH / fastest(ours)
    if case.peer is None:
        return Figure(case.name, value, "tokens/s", case.goal)
    peer = case.peer()
    rows = batches.batches.data.read(np.arange(BATCH))[:, :window]
    theirs = window * BATCH / fastest(lambda: peer(rows))
    return Figure(case.name, value, "tokens/s", case.goal, case.peer_name, theirs)


def fastest(work: Callable[[], Any]) -> float:
    """Return the seconds of one call, by the best of some stretches of calls: what else runs only adds to it."""
    work()
    best = float("inf")
    for _ in range(REPEATS):
        calls, began = 0, time.perf_counter()
        while (elapsed := time.perf_counter() - began) < SECONDS_A_REPEAT or calls == 0:
            work()
            calls += 1
        best = min(best, elapsed / calls)
    return best


def opening(folder: Path) -> Iterator[Figure]:
    """Measure how long it takes to open a corpus, and the memory that takes."""
    found = {}
    for documents in (FEW_DOCUMENTS, MANY_DOCUMENTS):
        place = folder / str(documents)
        place.mkdir()
        blend = write_corpus(place, documents, SHORT_DOCUMENT, sparse=True)
        (place / "blend.json").write_text(blend.model_dump_json(by_alias=True))
        command = [sys.executable, "-m", "benchmarks.objectives.opening", str(place)]
        runs = [json.loads(subprocess.check_output(command, cwd=ROOT)) for _ in range(3)]
        found[documents] = {key: min(run[key] for run in runs) for key in runs[0]}
    many, few = found[MANY_DOCUMENTS], found[FEW_DOCUMENTS]
    peer = f"{FEW_DOCUMENTS:,} documents"
    yield Figure("first batch of 10 M documents", many["seconds"], "seconds", 2.0, peer, few["seconds"])
    yield Figure(
        "memory with 10 M documents", many["mebibytes"], "MiB", 0.95, peer, few["mebibytes"], goal_is_ratio=True
    )


def document(figures: list[Figure]) -> str:
    """Return the results as a page."""
    return (
        "# Building samples\n\n"
        "`make bench-objectives ARGUMENTS=--write`, one core: "
        f"{machine(['numpy', 'numba', 'torch', 'transformers'])}.\n\n"
        f"Tokens of text a second from memory-mapped token files to the arrays of a batch of {BATCH} samples "
        "(2,048 tokens, 512 where text is corrupted for encoders). The peers get their windows ready, in memory: "
        f"they read nothing. Best of {REPEATS} stretches each. Start-up is from the first import of this project to "
        "the first batch; memory is what isn't mapped from files, after 4,096 samples.\n\n"
        f"{markdown(figures)}"
    )


if __name__ == "__main__":
    sys.exit(main())
