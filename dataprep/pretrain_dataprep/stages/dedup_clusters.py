"""dedup-clusters: connects the edges, keeps one document of each cluster, lists the others by unit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from pretrain_api.names import Component
from pretrain_api.resolve import content_hash
from pretrain_dataprep import manifests
from pretrain_dataprep.bookkeeping import write_timing
from pretrain_dataprep.cleaned import CleanedCorpus, CleanedUnit, load_corpus
from pretrain_dataprep.cleaning.unit_layout import CHARACTERS, IDS, excerpt
from pretrain_dataprep.context import StageContext
from pretrain_dataprep.dedup.layout import (
    CLUSTERS,
    EXACT,
    EXACT_EDGES,
    NEAR,
    NEAR_EDGES,
    REASONS,
    SURVIVOR,
    clusters_folder,
    pairs_folder,
    rows_name,
    survivors_name,
)
from pretrain_dataprep.documents import read_rows
from pretrain_dataprep.errors import ConfigurationError, TemporaryError
from pretrain_dataprep.files import atomic_folder, json_bytes, remove_leftovers, write_array
from pretrain_dataprep.manifests import MANIFEST_NAME, Input, Manifest, Recipe
from pretrain_dataprep.progress import log
from pretrain_dataprep.stages.dedup_pairs import pairs_recipe

CODE_VERSION = "dedup-clusters/2"

_EDGES_AT_A_TIME = 1 << 20
_SAMPLES = 3


def run(context: StageContext) -> dict[str, int]:
    """Write the lists of removed documents."""
    corpus = load_corpus(context)
    folder = clusters_folder(context)
    for leftover in remove_leftovers(folder):
        log(f"removed {leftover}, left by a killed process")
    recipe = _recipe(context, corpus)
    reason = manifests.why_to_do(folder / MANIFEST_NAME, recipe)
    if reason is None:
        log("done already, and nothing it depends on has changed")
        return manifests.read_manifest(folder / MANIFEST_NAME).summary()
    log(f"clusters: {reason}")
    with atomic_folder(folder) as temporary:
        manifest = _write(context, corpus, recipe, temporary)
        manifests.add_manifest(temporary, manifest)
    write_timing(context, manifest.counts)
    return manifest.summary()


def _recipe(context: StageContext, corpus: CleanedCorpus) -> Recipe:
    if len(context.data.sources) > 4096:
        raise ConfigurationError("spec.data.sources: at most 4,096 sources can be deduplicated against each other")
    dedup = context.data.dedup
    configuration = {"keep": dedup.keep, "sources": [source.name for source in context.data.sources]}
    corpus_input = corpus.as_input()
    pairs = [_pairs_manifest(context, index, corpus_input) for index in range(context.data.shards)]
    inputs = [corpus_input, manifests.combined_input("data/dedup/pairs", pairs)]
    return Recipe(Component.DEDUP_CLUSTERS, "clusters", content_hash(configuration), CODE_VERSION, inputs)


def _pairs_manifest(context: StageContext, index: int, corpus_input: Input) -> Path:
    path = pairs_folder(context, index) / MANIFEST_NAME
    reason = manifests.why_to_do(path, pairs_recipe(context, index, corpus_input))
    if reason is not None:
        raise TemporaryError(f"{path.parent}: {reason}; run the dedup-pairs stage again")
    return path


def _write(context: StageContext, corpus: CleanedCorpus, recipe: Recipe, folder: Path) -> Manifest:
    from pretrain_dataprep.dedup.clusters import Clusters, size_histogram

    clusters = Clusters(_all_ranks(context, corpus))
    clusters.merge(_edges(context, EXACT_EDGES))
    exact_removed = clusters.removed_mask()
    sizes = {"exact": size_histogram(clusters.survivors)}
    clusters.merge(_edges(context, NEAR_EDGES))
    if context.data.dedup.near is not None:
        sizes["all"] = size_histogram(clusters.survivors)
    removed = dict.fromkeys(REASONS, 0)
    by_unit: dict[str, dict[str, int]] = {}
    samples: dict[str, dict[str, list[str]]] = {}
    for unit in corpus.units:
        survivors = _survivors(corpus, unit, clusters.survivors, exact_removed)
        write_array(folder / rows_name(unit.name), survivors[0])
        write_array(folder / survivors_name(unit.name), survivors[1])
        for kind, reason in enumerate(REASONS):
            count = int((survivors[1]["kind"] == kind).sum())
            removed[reason] += count
            by_unit.setdefault(unit.name, {})[reason] = count
        _add_samples(corpus, unit, survivors, samples.setdefault(unit.source.name, {}))
        context.progress.add(unit.documents, unit.documents - len(survivors[0]))
    facts: dict[str, Any] = {"clusterSizes": sizes, "removedByUnit": by_unit, "samples": samples}
    (folder / CLUSTERS).write_bytes(json_bytes(facts))
    outputs = manifests.describe_outputs(folder, sorted(path.name for path in folder.iterdir()))
    counts = {"documentsIn": corpus.documents, "documentsOut": corpus.documents - sum(removed.values())}
    return Manifest(recipe, outputs, counts, {reason: count for reason, count in removed.items() if count})


def _all_ranks(context: StageContext, corpus: CleanedCorpus) -> np.ndarray:
    from pretrain_dataprep.dedup.clusters import ranks

    places = {source.name: place for place, source in enumerate(context.data.sources)}
    result = np.empty(corpus.documents, np.uint64)
    for unit in corpus.units:
        place, keep = places[unit.source.name], context.data.dedup.keep
        result[unit.first_id : unit.first_id + unit.documents] = ranks(
            place, unit.array(CHARACTERS), unit.array(IDS), keep
        )
    return result


def _edges(context: StageContext, name: str) -> Iterator[np.ndarray]:
    for index in range(context.data.shards):
        path = pairs_folder(context, index) / name
        if path.exists():
            edges = np.load(path, mmap_mode="r")
            for first in range(0, len(edges), _EDGES_AT_A_TIME):
                yield np.asarray(edges[first : first + _EDGES_AT_A_TIME])


def _survivors(
    corpus: CleanedCorpus, unit: CleanedUnit, survivors: np.ndarray, exact_removed: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return a unit's removed rows (uint32, sorted) and who survived in their places (SURVIVOR)."""
    own = np.arange(unit.first_id, unit.first_id + unit.documents)
    stayed = survivors[unit.first_id : unit.first_id + unit.documents].astype(np.int64)
    rows = np.flatnonzero(stayed != own)
    stayed = stayed[rows]
    result = np.empty(len(rows), SURVIVOR)
    # Empty units share their first id with the next one: the last one that starts at or before an id holds it.
    units = np.searchsorted(corpus.first_ids[:-1], stayed, side="right") - 1
    result["unit"] = units
    result["row"] = stayed - corpus.first_ids[units]
    ids = own[rows]
    was_exact = (exact_removed[ids >> 3] >> (7 - (ids & 7))) & 1 if len(ids) else np.empty(0, np.uint8)
    result["kind"] = np.where(was_exact == 1, EXACT, NEAR)
    return rows.astype(np.uint32), result


def _add_samples(
    corpus: CleanedCorpus, unit: CleanedUnit, survivors: tuple[np.ndarray, np.ndarray], samples: dict[str, list[str]]
) -> None:
    rows, stayed = survivors
    for kind, reason in enumerate(REASONS):
        known = samples.setdefault(reason, [])
        wanted = np.flatnonzero(stayed["kind"] == kind)[: _SAMPLES - len(known)]
        for place in wanted:
            other = corpus.units[int(stayed[place]["unit"])]
            (removed,), (kept,) = read_rows(unit, [int(rows[place])]), read_rows(other, [int(stayed[place]["row"])])
            known.append(excerpt(f"{removed.location} (kept: {kept.location})", removed.text))
