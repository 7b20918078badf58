"""What survived the deduplication, unit by unit."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from pretrain_api.names import Component
from pretrain_dataprep.choice import fractions
from pretrain_dataprep.cleaned import CleanedUnit
from pretrain_dataprep.cleaning.unit_layout import CONTENT_HASHES, CONTENT_ROWS, SIZES
from pretrain_dataprep.context import StageContext
from pretrain_dataprep.dedup.layout import clusters_folder, cuts_name, rows_name
from pretrain_dataprep.dedup.spans import SPAN
from pretrain_dataprep.documents import RowGroup, read_row_groups
from pretrain_dataprep.errors import MissingOutputError
from pretrain_dataprep.folders import read_folder
from pretrain_dataprep.manifests import Input, Manifest
from pretrain_dataprep.text.batch import TextBatch

PARTS = ("train", "validation", "test")
"""What documents are for, by a hash of their text."""


def clusters_manifest(context: StageContext) -> Manifest:
    """Read the manifest of dedup-clusters. Raises MissingOutputError if it isn't there, or its files aren't."""
    return read_folder(clusters_folder(context), Component.DEDUP_CLUSTERS)


def removed_rows_input(manifest: Manifest, unit: CleanedUnit) -> Input:
    """Return a unit's list of removed rows as an input. Raises MissingOutputError if dedup-clusters doesn't know it."""
    name = rows_name(unit.name)
    for output in manifest.outputs:
        if output.path == name:
            return Input(f"data/dedup/clusters/{name}", output.size, output.xxh3)
    raise MissingOutputError(f"unit {unit.name} isn't in data/dedup/clusters", Component.DEDUP_CLUSTERS)


def cuts_inputs(manifest: Manifest, unit: CleanedUnit) -> list[Input]:
    """Return what is cut out of a unit's documents as an input; nothing, if the job doesn't cut."""
    name = cuts_name(unit.name)
    return [Input(f"data/dedup/clusters/{name}", o.size, o.xxh3) for o in manifest.outputs if o.path == name]


def read_surviving(context: StageContext, unit: CleanedUnit) -> Iterator[RowGroup]:
    """Yield the texts of a unit a row group at a time, without what is cut out of them; removed documents too."""
    cuts = _cuts(context, unit)
    for group in read_row_groups(unit):
        first, last = np.searchsorted(cuts["row"], [group.first_row, group.first_row + len(group.texts)])
        yield group if first == last else RowGroup(group.first_row, _cut(group, cuts[first:last]))


def _cuts(context: StageContext, unit: CleanedUnit) -> np.ndarray:
    path = clusters_folder(context) / cuts_name(unit.name)
    return np.load(path) if path.exists() else np.empty(0, SPAN)


def surviving_sizes(context: StageContext, unit: CleanedUnit) -> np.ndarray:
    """Return the bytes of each document without what is cut out of it: int64, shape (documents,)."""
    sizes = unit.array(SIZES).astype(np.int64)
    cuts = _cuts(context, unit)
    np.subtract.at(sizes, cuts["row"], cuts["end"].astype(np.int64) - cuts["start"])
    return sizes


def _cut(group: RowGroup, cuts: np.ndarray) -> pa.Array:
    from pretrain_dataprep.kernels.passages import write_without

    batch = TextBatch.of_column(group.texts)
    out, offsets = np.empty(len(batch.text), np.uint8), np.empty(len(batch) + 1, np.int64)
    rows = cuts["row"] - np.uint32(group.first_row)
    write_without(batch.text, batch.offsets, rows, cuts["start"].copy(), cuts["end"].copy(), out, offsets)
    return TextBatch(out[: offsets[-1]], offsets).as_column()


def kept_mask(context: StageContext, unit: CleanedUnit) -> np.ndarray:
    """Return which documents of a unit survived: bool, shape (documents,)."""
    mask = np.ones(unit.documents, bool)
    mask[np.load(clusters_folder(context) / rows_name(unit.name))] = False
    return mask


def content_hashes_by_row(unit: CleanedUnit) -> np.ndarray:
    """Return the content hashes in the order of the documents: uint64, shape (documents, 2)."""
    hashes = np.empty((unit.documents, 2), np.uint64)
    hashes[unit.array(CONTENT_ROWS)] = unit.array(CONTENT_HASHES)
    return hashes


def part_by_row(context: StageContext, unit: CleanedUnit) -> np.ndarray:
    """Return for each document its place in PARTS: int64, shape (documents,). Another share for the test changes
    nothing of what is held back for validation."""
    split = context.data.split
    places = fractions(content_hashes_by_row(unit), context.seed, "validation")
    edges = np.array([split.validation, split.validation + split.test])
    parts: np.ndarray = np.array([1, 2, 0])[np.searchsorted(edges, places, side="right")]
    return parts
