"""The cleaned units as the later stages see them: all there, all current, numbered."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from pretrain_api.names import Component, Reason
from pretrain_api.spec.data import Source
from pretrain_dataprep.context import StageContext, unit_name
from pretrain_dataprep.errors import InputError
from pretrain_dataprep.folders import read_folder
from pretrain_dataprep.manifests import MANIFEST_NAME, Input, Manifest, combined_input


@dataclass(frozen=True)
class CleanedUnit:
    """A finished unit of the clean stage."""

    source: Source
    shard: int
    folder: Path
    manifest: Manifest
    first_id: int
    """Number of the unit's first document among all documents of all units."""

    @property
    def name(self) -> str:
        """Name of the unit."""
        return unit_name(self.source.name, self.shard)

    @property
    def documents(self) -> int:
        """Documents the unit holds."""
        return self.manifest.counts["documentsOut"]

    def array(self, name: str) -> np.ndarray:
        """Map one of the unit's .npy files into memory."""
        array: np.ndarray = np.load(self.folder / name, mmap_mode="r")
        return array


@dataclass(frozen=True)
class CleanedCorpus:
    """All units, in the order of the job's sources and shards. A document's global id is first_id + row."""

    units: list[CleanedUnit]

    @property
    def documents(self) -> int:
        """Documents of all units."""
        return sum(unit.documents for unit in self.units)

    @cached_property
    def first_ids(self) -> np.ndarray:
        """First global id of each unit, and the number of all documents: int64, shape (units + 1,)."""
        return np.array([unit.first_id for unit in self.units] + [self.documents], np.int64)

    def as_input(self) -> Input:
        """Return all units as one input of a manifest."""
        return combined_input("data/clean", [unit.folder / MANIFEST_NAME for unit in self.units])


def load_unit(context: StageContext, source: Source, shard: int, first_id: int = 0) -> CleanedUnit:
    """Read a unit's manifest. Raises MissingOutputError if the unit isn't there as its manifest says."""
    folder = context.layout.clean / unit_name(source.name, shard)
    manifest = read_folder(folder, Component.CLEAN)
    return CleanedUnit(source, shard, folder, manifest, first_id)


def load_corpus(context: StageContext) -> CleanedCorpus:
    """Read all units' manifests. Raises MissingOutputError for a missing unit and InputError for an empty corpus."""
    units, first_id = [], 0
    for source, shard in context.units:
        unit = load_unit(context, source, shard, first_id)
        units.append(unit)
        first_id += unit.documents
    corpus = CleanedCorpus(units)
    for source in context.data.sources:
        if source.weight != 0:
            _check_not_empty(source, [unit.manifest for unit in units if unit.source.name == source.name])
    if corpus.documents == 0:
        raise InputError("no source has a document left; see data/clean/*/statistics.json", Reason.EMPTY_CORPUS)
    return corpus


def _check_not_empty(source: Source, manifests: list[Manifest]) -> None:
    counts: Counter[str] = Counter()
    removed: Counter[str] = Counter()
    for manifest in manifests:
        counts.update(manifest.counts)
        removed.update(manifest.removed)
    if counts["documentsOut"] > 0:
        return
    if counts["documentsIn"] == 0:
        raise InputError(
            f"{source.uri}: source {source.name} is empty: no document in {counts['files']:,} files; check the uri",
            Reason.EMPTY_CORPUS,
        )
    rules = ", ".join(f"{reason} {count:,}" for reason, count in removed.most_common())
    raise InputError(
        f"{source.uri}: none of the {counts['documentsIn']:,} documents of source {source.name} is left after cleaning "
        f"(removed: {rules}); relax spec.data.clean (thresholds, or preset none), or leave the source out",
        Reason.EMPTY_CORPUS,
    )
