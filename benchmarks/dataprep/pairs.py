"""Memory and speed of dedup-pairs on synthetic documents: `python -m benchmarks.dataprep.pairs [DOCUMENTS]`.

Prints JSON: documents, keys, edges, seconds, the most memory of the process that isn't mapped files. One work item has
all keys, as in a job of one shard, and every fifth document shares all its keys with the same thousand, the most common
texts of a corpus: the worst there is.
"""

from __future__ import annotations

import json
import sys
import tempfile
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from pretrain_api.spec.data import Source
from pretrain_dataprep.cleaned import CleanedUnit
from pretrain_dataprep.cleaning.unit_layout import BAND_KEYS, BAND_ROWS
from pretrain_dataprep.dedup.edges import band_edges
from pretrain_dataprep.files import NpyWriter
from pretrain_dataprep.manifests import Manifest, Recipe

DOCUMENTS = 10_000_000
BANDS = 9
COMMON_TEXTS = 1000
_COMMON_SHARE = 0.2
_UNIT_DOCUMENTS = 250_000
_SAMPLE_SECONDS = 0.005


class PeakMemory:
    """Looks at the memory of this process that no file backs, while its block runs."""

    def __init__(self) -> None:
        self.bytes = 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def _watch(self) -> None:
        while not self._done.wait(_SAMPLE_SECONDS):
            status = Path("/proc/self/status").read_text()
            self.bytes = max(self.bytes, 1024 * int(status.split("RssAnon:")[1].split()[0]))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()


def write_units(folder: Path, documents: int) -> list[CleanedUnit]:
    """Write the sorted keys of units of 250,000 documents."""
    generator = np.random.default_rng(1)
    common = generator.integers(0, 2**64, (COMMON_TEXTS, BANDS), dtype=np.uint64)
    units: list[CleanedUnit] = []
    for first_id in range(0, documents, _UNIT_DOCUMENTS):
        count = min(_UNIT_DOCUMENTS, documents - first_id)
        keys = generator.integers(0, 2**64, (count, BANDS), dtype=np.uint64)
        is_common = generator.random(count) < _COMMON_SHARE
        # A few of the common texts are most of their copies, as in a real corpus.
        which = (COMMON_TEXTS * generator.random(int(is_common.sum())) ** 4).astype(np.int64)
        keys[is_common] = common[which]
        path = folder / str(first_id)
        path.mkdir()
        order = np.argsort(keys, axis=None, kind="stable")
        np.save(path / BAND_KEYS, keys.reshape(-1)[order])
        np.save(path / BAND_ROWS, (order // BANDS).astype(np.uint32))
        manifest = Manifest(Recipe("clean", "", "", "", []), [], {"documentsOut": count})
        units.append(CleanedUnit(Source(name="synthetic", uri="-"), len(units), path, manifest, first_id))
    return units


def main(documents: int) -> None:
    """Measure it."""
    with tempfile.TemporaryDirectory(prefix="bench-pairs-") as name:
        units = write_units(Path(name), documents)
        edges = 0
        began = time.process_time()
        with PeakMemory() as peak, NpyWriter(Path(name) / "edges.npy", np.int64, (2,)) as writer:
            for found in band_edges(units, 0, 1 << 64):
                writer.append(found)
                edges += len(found)
        seconds = time.process_time() - began
    figures = {"documents": documents, "keys": documents * BANDS, "edges": edges, "seconds": seconds}
    print(json.dumps({**figures, "peakBytes": peak.bytes}))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else DOCUMENTS)
