"""Union-find over arrays of integers."""

from __future__ import annotations

import numpy as np

from pretrain_dataprep.compiled import compiled, inlined


@inlined
def _find(parents, document):
    while parents[document] != document:
        parents[document] = parents[parents[document]]
        document = parents[document]
    return np.int64(document)


@compiled(
    "void(uint32[::1], uint64[::1], Array(int64, 2, 'C', readonly=True))",
    "void(int64[::1], uint64[::1], Array(int64, 2, 'C', readonly=True))",
)
def union(parents, ranks, edges):
    """Merge the ends of each edge; of two roots the one of greater rank, or of smaller number, stays."""
    for edge in range(len(edges)):
        one, other = _find(parents, edges[edge, 0]), _find(parents, edges[edge, 1])
        if one != other:
            if ranks[one] > ranks[other] or (ranks[one] == ranks[other] and one < other):
                parents[other] = one
            else:
                parents[one] = other


@compiled("void(uint32[::1])", "void(int64[::1])")
def flatten(parents):
    """Point every document at its root."""
    for document in range(len(parents)):
        parents[document] = _find(parents, document)
