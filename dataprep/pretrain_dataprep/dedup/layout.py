"""Where the deduplication keeps its files.

data/dedup/pairs-00003/             edges of one key range
data/dedup/clusters/                UNIT.rows.npy       uint32, sorted rows of removed documents
                                    UNIT.survivors.npy  structured (unit uint32, row uint32, kind uint8) of each
                                    clusters.json       cluster sizes by kind, samples
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pretrain_dataprep.context import StageContext

EXACT_EDGES = "exact-edges.npy"
NEAR_EDGES = "near-edges.npy"
CLUSTERS = "clusters.json"

EXACT, NEAR = 0, 1
REASONS = ("exact-duplicate", "near-duplicate")

SURVIVOR = np.dtype([("unit", "<u4"), ("row", "<u4"), ("kind", "u1")])
"""Who stayed in a removed document's place: unit (place among all units), row, and why (EXACT or NEAR)."""


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
