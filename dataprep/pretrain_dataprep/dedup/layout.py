"""Where the deduplication keeps its files.

data/dedup/pairs-00003/             edges of one key range; repeated passages and windows (REPEATED)
data/dedup/clusters/                UNIT.rows.npy       uint32, sorted rows of removed documents
                                    UNIT.survivors.npy  structured (unit uint32, row uint32, kind uint8) of each
                                    UNIT.cuts.npy       (row, start, end) of what is cut out of documents that stay
                                    clusters.json       cluster sizes by kind, samples
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pretrain_api.spec.dedup import Dedup
from pretrain_dataprep.context import StageContext

EXACT_EDGES = "exact-edges.npy"
NEAR_EDGES = "near-edges.npy"
SEMANTIC_EDGES = "semantic-edges.npy"
CLUSTERS = "clusters.json"
PASSAGES, WINDOWS = "passages", "windows"

EXACT, NEAR, SEMANTIC, REPEATED_TEXT, CLUSTER_CAP = 0, 1, 2, 3, 4
REASONS = ("exact-duplicate", "near-duplicate", "semantic-duplicate", "repeated-text", "cluster-cap")
OF_THEMSELVES = (REPEATED_TEXT, CLUSTER_CAP)
"""Kinds of removal for which no other document stayed instead."""

SURVIVOR = np.dtype([("unit", "<u4"), ("row", "<u4"), ("kind", "u1")])
"""Who stayed in a removed document's place: unit (place among all units), row, and why (EXACT, NEAR or SEMANTIC). Of a
document all of whose text is in others (REPEATED_TEXT), or whose topic has enough others (CLUSTER_CAP), it is the
document itself."""


def span_kinds(dedup: Dedup) -> list[str]:
    """Return the kinds of spans whose repetitions are looked for."""
    return [kind for kind, given in ((PASSAGES, dedup.passages), (WINDOWS, dedup.substring)) if given is not None]


def repeated_name(kind: str) -> str:
    """Return the name of the file with repeated passages or windows."""
    return f"{kind}.npy"


def pairs_name(index: int) -> str:
    """Return the name of the unit of one key range."""
    return f"pairs-{index:05d}"


def pairs_folder(context: StageContext, index: int) -> Path:
    """Return the folder of the edges of one key range."""
    return context.layout.dedup / pairs_name(index)


def clusters_folder(context: StageContext) -> Path:
    """Return the folder of the removed documents."""
    return context.layout.dedup / "clusters"


def rows_name(unit: str) -> str:
    """Return the name of the file with a unit's removed rows."""
    return f"{unit}.rows.npy"


def survivors_name(unit: str) -> str:
    """Return the name of the file that says who survived in the removed documents' places."""
    return f"{unit}.survivors.npy"


def cuts_name(unit: str) -> str:
    """Return the name of the file with what is cut out of a unit's documents."""
    return f"{unit}.cuts.npy"
