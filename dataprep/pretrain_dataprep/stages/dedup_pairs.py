"""dedup-pairs: pairs of equal or similar documents, for one range of the keys of all units."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pretrain_api.names import Component
from pretrain_api.resolve import content_hash
from pretrain_api.spec.dedup import NearDeduplication
from pretrain_dataprep import manifests
from pretrain_dataprep.bookkeeping import write_timing
from pretrain_dataprep.cleaned import CleanedCorpus, CleanedUnit, load_corpus
from pretrain_dataprep.context import StageContext
from pretrain_dataprep.dedup.layout import (
    EXACT_EDGES,
    NEAR_EDGES,
    SEMANTIC_EDGES,
    pairs_folder,
    pairs_name,
    repeated_name,
    span_kinds,
)
from pretrain_dataprep.files import NpyWriter
from pretrain_dataprep.folders import Made, make_folder
from pretrain_dataprep.manifests import Recipe

CODE_VERSION = "dedup-pairs/3"


def pairs_recipe(context: StageContext, index: int, corpus_input: manifests.Input) -> Recipe:
    """Return what the edges of one key range are made from."""
    dedup = context.data.dedup
    configuration = {
        "exact": dedup.exact,
        "near": dedup.near,
        "semantic": dedup.semantic and [dedup.semantic.threshold, dedup.semantic.clusters],
        "spans": span_kinds(dedup),
        "scope": dedup.scope,
        "ranges": context.data.shards,
    }
    return Recipe(Component.DEDUP_PAIRS, pairs_name(index), content_hash(configuration), CODE_VERSION, [corpus_input])


def run(context: StageContext) -> dict[str, int]:
    """Write the edges of one key range."""
    corpus = load_corpus(context)

    def make(folder: Path) -> Made:
        counts = _write(context, corpus, folder)
        context.progress.add(corpus.documents, corpus.documents)
        return Made(counts)

    recipe = pairs_recipe(context, context.index, corpus.as_input())
    counts = make_folder(pairs_folder(context, context.index), recipe, make).counts
    write_timing(context, counts)
    return counts


def _write(context: StageContext, corpus: CleanedCorpus, folder: Path) -> dict[str, int]:
    """Write what the job asks for; return how much. Every range sees all documents: a sum of them would say nothing."""
    from pretrain_dataprep.dedup.edges import exact_edges, key_range

    low, high = key_range(context.index, context.data.shards)
    dedup = context.data.dedup
    groups = _groups(corpus, dedup.scope)
    counts = {"exactEdges": 0, "nearEdges": 0}
    if dedup.exact == "document":
        found = (edges for units in groups for edges in exact_edges(units, low, high))
        counts["exactEdges"] = _write_edges(folder / EXACT_EDGES, found)
    if dedup.near is not None:
        near = dedup.near
        found = (edges for units in groups for edges in _near_edges(corpus, near, units, low, high))
        counts["nearEdges"] = _write_edges(folder / NEAR_EDGES, found)
    if dedup.semantic is not None and context.index == 0:
        from pretrain_dataprep.dedup.semantic import semantic_edges

        options = dedup.semantic
        found = (semantic_edges(units, options.clusters, options.threshold) for units in groups)
        counts["semanticEdges"] = _write_edges(folder / SEMANTIC_EDGES, found)
    for kind in span_kinds(dedup):
        counts[kind] = _write_repeated(folder / repeated_name(kind), groups, kind, low, high)
    return counts


def _write_edges(path: Path, found: Iterator[np.ndarray]) -> int:
    count = 0
    with NpyWriter(path, np.int64, (2,)) as writer:
        for edges in found:
            writer.append(edges)
            count += len(edges)
    return count


def _write_repeated(path: Path, groups: list[list[CleanedUnit]], kind: str, low: int, high: int) -> int:
    from pretrain_dataprep.dedup.repetitions import REPEATED, repeated_spans

    count = 0
    with NpyWriter(path, REPEATED) as writer:
        for units in groups:
            for spans in repeated_spans(units, kind, low, high):
                writer.append(spans)
                count += len(spans)
    return count


def _groups(corpus: CleanedCorpus, scope: str) -> list[list[CleanedUnit]]:
    """Return the units among which duplicates are looked for: all, or those of each source."""
    if scope == "across":
        return [corpus.units]
    by_source: dict[str, list[CleanedUnit]] = {}
    for unit in corpus.units:
        by_source.setdefault(unit.source.name, []).append(unit)
    return list(by_source.values())


def _near_edges(
    corpus: CleanedCorpus, near: NearDeduplication, units: list[CleanedUnit], low: int, high: int
) -> Iterator[np.ndarray]:
    from pretrain_dataprep.dedup.edges import band_edges, candidates

    if near.method == "minhash" and not near.verify:
        return band_edges(units, low, high)
    from pretrain_dataprep.dedup.verification import verified_edges

    return (verified_edges(corpus, near, found) for found in candidates(units, low, high))
