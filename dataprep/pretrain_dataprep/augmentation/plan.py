"""Which documents are taken: decided once for the whole source, so that shards don't matter and the share holds.

Each document that is left to train on has a bucket, by a hash of its text, the seed and the entry. Buckets are taken
one after the other as long as they fit into the share of the source's bytes; memory doesn't grow with the number of
documents.

data/augmentation/NAME.json               facts of the plan
data/augmentation/NAME.buckets.npy        bits, shape (2, BUCKETS / 8): the buckets taken of the source, of the partner
data/augmentation/NAME.dictionary.json    synonyms by word
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import orjson

from pretrain_api.names import Component
from pretrain_api.spec.augment import Augmentation
from pretrain_dataprep.augmentation.texts import JOINT
from pretrain_dataprep.choice import fractions
from pretrain_dataprep.cleaned import CleanedUnit, load_unit
from pretrain_dataprep.context import StageContext
from pretrain_dataprep.errors import MissingOutputError
from pretrain_dataprep.files import json_bytes, write_array
from pretrain_dataprep.folders import read_folder
from pretrain_dataprep.manifests import Input, Manifest
from pretrain_dataprep.surviving import content_hashes_by_row, kept_mask, part_by_row, surviving_sizes

BUCKETS = 1 << 16


@dataclass(frozen=True)
class Plan:
    """What an entry takes."""

    source_bytes: int
    """Text of the source that is left to train on."""
    buckets: np.ndarray
    """Documents of the source in these buckets are taken: bool, shape (BUCKETS,)."""
    partner_buckets: np.ndarray
    """The same of the partner."""

    def save(self, folder: Path, entry: Augmentation) -> None:
        """Write the files of an entry's plan."""
        (folder / _facts_name(entry)).write_bytes(json_bytes({"sourceBytes": self.source_bytes}))
        write_array(folder / _buckets_name(entry), np.packbits([self.buckets, self.partner_buckets], axis=1))


def load_plan(context: StageContext, entry: Augmentation) -> Plan:
    """Read the plan of an entry."""
    folder = context.layout.augmentation
    facts = orjson.loads((folder / _facts_name(entry)).read_bytes())
    own, other = np.unpackbits(np.load(folder / _buckets_name(entry)), axis=1).astype(bool)
    return Plan(facts["sourceBytes"], own, other)


def _facts_name(entry: Augmentation) -> str:
    return f"{entry.name}.json"


def _buckets_name(entry: Augmentation) -> str:
    return f"{entry.name}.buckets.npy"


def dictionary_name(entry: Augmentation) -> str:
    """Return the file name of an entry's synonyms."""
    return f"{entry.name}.dictionary.json"


def load_dictionary(context: StageContext, entry: Augmentation) -> dict[str, list[str]] | None:
    """Read the synonyms of an entry; None: it has none."""
    if entry.dictionary is None:
        return None
    dictionary: dict[str, list[str]] = orjson.loads((context.layout.augmentation / dictionary_name(entry)).read_bytes())
    return dictionary


def plan_manifest(folder: Path) -> Manifest:
    """Read the manifest of the stage augment-plan. Raises MissingOutputError if it isn't there, or its files aren't."""
    return read_folder(folder, Component.AUGMENT_PLAN)


def plan_inputs(manifest: Manifest, entry: Augmentation) -> list[Input]:
    """Return an entry's plan and synonyms as inputs. Raises MissingOutputError if the stage doesn't know it."""
    names = {_facts_name(entry), _buckets_name(entry), dictionary_name(entry)}
    inputs = [Input(f"data/augmentation/{o.path}", o.size, o.xxh3) for o in manifest.outputs if o.path in names]
    if not inputs:
        raise MissingOutputError(f"{entry.name} isn't in data/augmentation", Component.AUGMENT_PLAN)
    return inputs


def make_plan(context: StageContext, entry: Augmentation) -> Plan:
    """Look at all documents of the entry's sources, and take as many as its share allows."""
    own = _bytes_by_bucket(context, entry, entry.source)
    budget = int(entry.share * own.bytes)
    if entry.partner is None:
        return Plan(own.bytes, own.buckets_within(budget), np.zeros(BUCKETS, bool))
    other = _bytes_by_bucket(context, entry, entry.partner)
    # Of both as many documents: each takes the part of the budget that its mean length asks for.
    own_mean, other_mean = own.bytes / max(1, own.documents), other.bytes / max(1, other.documents)
    own_budget = int(budget * own_mean / max(1.0, own_mean + other_mean))
    return Plan(own.bytes, own.buckets_within(own_budget), other.buckets_within(budget - own_budget))


def taken_rows(context: StageContext, unit: CleanedUnit, entry: Augmentation, buckets: np.ndarray) -> np.ndarray:
    """Return the rows of the documents that are taken of a unit: int64, ascending."""
    rows: np.ndarray = np.flatnonzero(_to_train_on(context, unit) & buckets[_buckets(context, unit, entry)])
    return rows


def taken_sizes(context: StageContext, unit: CleanedUnit, entry: Augmentation) -> np.ndarray:
    """Return what each document would bring: int64, shape (documents,), bytes."""
    sizes = surviving_sizes(context, unit)
    return sizes + len(JOINT) if entry.method == "concatenate" else sizes


@dataclass(frozen=True)
class _Content:
    bytes: int
    documents: int
    by_bucket: np.ndarray
    """Bytes that documents of each bucket would bring: int64, shape (BUCKETS,)."""

    def buckets_within(self, budget: int) -> np.ndarray:
        """Return buckets that have at most `budget` bytes together: bool, shape (BUCKETS,)."""
        taken = np.zeros(BUCKETS, bool)
        for bucket in np.flatnonzero(self.by_bucket):
            size = int(self.by_bucket[bucket])
            if size <= budget:
                taken[bucket] = True
                budget -= size
        return taken


def _bytes_by_bucket(context: StageContext, entry: Augmentation, name: str) -> _Content:
    size = documents = 0
    by_bucket = np.zeros(BUCKETS, np.int64)
    for unit in _units(context, name):
        mask = _to_train_on(context, unit)
        size += int(surviving_sizes(context, unit)[mask].sum())
        documents += int(mask.sum())
        np.add.at(by_bucket, _buckets(context, unit, entry)[mask], taken_sizes(context, unit, entry)[mask])
    return _Content(size, documents, by_bucket)


def _units(context: StageContext, name: str) -> Iterator[CleanedUnit]:
    return (load_unit(context, source, shard) for source, shard in context.units if source.name == name)


def _to_train_on(context: StageContext, unit: CleanedUnit) -> np.ndarray:
    """Return which documents survived and aren't held back: bool, shape (documents,)."""
    mask: np.ndarray = kept_mask(context, unit) & (part_by_row(context, unit) == 0)
    return mask


def _buckets(context: StageContext, unit: CleanedUnit, entry: Augmentation) -> np.ndarray:
    """Return each document's bucket: int64, shape (documents,)."""
    places = fractions(content_hashes_by_row(unit), context.seed, f"augment:{entry.name}")
    return (places * BUCKETS).astype(np.int64)
