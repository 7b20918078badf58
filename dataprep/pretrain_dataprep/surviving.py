"""What survived the deduplication, unit by unit."""

from __future__ import annotations

import numpy as np

from pretrain_api.names import Component
from pretrain_dataprep.cleaned import CleanedUnit
from pretrain_dataprep.cleaning.unit_layout import CONTENT_HASHES, CONTENT_ROWS
from pretrain_dataprep.context import StageContext
from pretrain_dataprep.dedup.layout import clusters_folder, rows_name
from pretrain_dataprep.errors import TemporaryError
from pretrain_dataprep.manifests import MANIFEST_NAME, Input, Manifest, damaged_output, read_manifest


def clusters_manifest(context: StageContext) -> Manifest:
    """Read the manifest of dedup-clusters. Raises TemporaryError if it isn't there, or its files aren't."""
    folder = clusters_folder(context)
    try:
        manifest = read_manifest(folder / MANIFEST_NAME)
    except (OSError, ValueError) as error:
        raise TemporaryError(f"{folder}: {Component.DEDUP_CLUSTERS} isn't done ({error}); run it first") from error
    damage = damaged_output(folder, manifest)
    if damage is not None:
        raise TemporaryError(f"{damage}; run the {Component.DEDUP_CLUSTERS} stage again")
    return manifest


def removed_rows_input(manifest: Manifest, unit: CleanedUnit) -> Input:
    """Return a unit's list of removed rows as an input. Raises TemporaryError if dedup-clusters doesn't know it."""
    name = rows_name(unit.name)
    for output in manifest.outputs:
        if output.path == name:
            return Input(f"data/dedup/clusters/{name}", output.size, output.xxh3)
    raise TemporaryError(f"unit {unit.name} isn't in data/dedup/clusters; run the dedup stages again")


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
