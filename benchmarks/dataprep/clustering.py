"""Memory and speed of clustering synthetic documents: `python -m benchmarks.dataprep.clustering [DOCUMENTS]`.

Prints JSON: documents, edges, seconds, bytes that the peak grows by for each further document. Edges are made piece
by piece, as a job reads them from files.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pretrain_dataprep.dedup.clusters import Clusters, ranks, size_histogram

DOCUMENTS = 10_000_000
EDGES_A_DOCUMENT = 0.5
_PIECE = 1 << 20
_SMALL = 1000


def edges(documents: int) -> Iterator[np.ndarray]:
    """Yield edges between documents that are near each other, and some between any: int64, shape (edges, 2)."""
    generator = np.random.default_rng(1)
    left = round(documents * EDGES_A_DOCUMENT)
    while left > 0:
        count = min(left, _PIECE)
        pairs = generator.integers(0, documents, (count, 2))
        near = generator.random(count) < 0.9
        pairs[near, 1] = (pairs[near, 0] + generator.integers(1, 100, int(near.sum()))) % documents
        yield pairs
        left -= count


def all_ranks(documents: int) -> np.ndarray:
    """Return ranks as a job has them: uint64, shape (documents,), filled unit by unit."""
    generator = np.random.default_rng(2)
    result = np.empty(documents, np.uint64)
    for first in range(0, documents, _PIECE):
        count = min(_PIECE, documents - first)
        characters = generator.integers(100, 100_000, count).astype(np.uint32)
        ids = generator.integers(0, 2**64, count, dtype=np.uint64)
        result[first : first + count] = ranks(0, characters, ids, "longest")
    return result


def cluster(documents: int) -> int:
    """Cluster, as the stage dedup-clusters does; return the documents removed."""
    clusters = Clusters(all_ranks(documents))
    clusters.merge(edges(documents))
    removed = clusters.removed_mask()
    size_histogram(clusters.survivors)
    return int(np.bitwise_count(removed).sum())


def peak_bytes() -> int:
    """Return the most memory that this process had; `getrusage` would count its parent's, too."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.split("VmHWM:")[1].split()[0])


def main(documents: int) -> None:
    """Measure it."""
    cluster(_SMALL)
    cluster(_PIECE)  # what pieces take is no document's: the growth from here on counts
    before = peak_bytes()
    began = time.process_time()
    removed = cluster(documents)
    seconds = time.process_time() - began
    peak = peak_bytes()
    print(
        json.dumps(
            {
                "documents": documents,
                "edges": round(documents * EDGES_A_DOCUMENT),
                "removed": removed,
                "seconds": seconds,
                "peakBytes": peak,
                "bytesADocument": (peak - before) / (documents - _PIECE),
            }
        )
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else DOCUMENTS)
