"""dedup-clusters: connects the edges, keeps one document of each cluster, lists the others by unit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pretrain_api.names import Component
from pretrain_api.resolve import changed_fields, content_hash
from pretrain_api.spec.filters import CAPS
from pretrain_dataprep import manifests
from pretrain_dataprep.bookkeeping import write_timing
from pretrain_dataprep.cleaned import CleanedCorpus, load_corpus
from pretrain_dataprep.cleaning.unit_layout import CHARACTERS, IDS, QUALITY
from pretrain_dataprep.context import StageContext
from pretrain_dataprep.dedup.layout import (
    CLUSTER_CAP,
    CLUSTERS,
    EXACT_EDGES,
    NEAR_EDGES,
    REASONS,
    REPEATED_TEXT,
    SEMANTIC_EDGES,
    clusters_folder,
    cuts_name,
    pairs_folder,
    repeated_name,
    rows_name,
    span_kinds,
    survivors_name,
)
from pretrain_dataprep.errors import ConfigurationError, MissingOutputError
from pretrain_dataprep.files import json_bytes, write_array
from pretrain_dataprep.folders import Made, make_folder
from pretrain_dataprep.manifests import MANIFEST_NAME, Input, Recipe
from pretrain_dataprep.stages.dedup_pairs import pairs_recipe

if TYPE_CHECKING:
    from pretrain_dataprep.dedup.cuts import CutCollector

CODE_VERSION = "dedup-clusters/3"

_EDGES_AT_A_TIME = 1 << 20
_WAITING = "waiting"


def run(context: StageContext) -> dict[str, int]:
    """Write the lists of removed documents."""
    corpus = load_corpus(context)
    recipe = _recipe(context, corpus)
    manifest = make_folder(clusters_folder(context), recipe, lambda folder: _write(context, corpus, folder))
    write_timing(context, manifest.counts)
    return manifest.summary()


def _recipe(context: StageContext, corpus: CleanedCorpus) -> Recipe:
    if len(context.data.sources) > 4096:
        raise ConfigurationError("spec.data.sources: at most 4,096 sources can be deduplicated against each other")
    dedup = context.data.dedup
    configuration: dict[str, Any] = {
        "keep": dedup.keep,
        "sources": [source.name for source in context.data.sources],
    }
    topics = context.data.clean.clusters
    if topics is not None:
        caps = changed_fields(topics, include=set(CAPS))
        configuration |= {"clusters": caps, "seed": context.seed}
    corpus_input = corpus.as_input()
    pairs = [_pairs_manifest(context, index, corpus_input) for index in range(context.data.shards)]
    inputs = [corpus_input, manifests.combined_input("data/dedup/pairs", pairs)]
    return Recipe(Component.DEDUP_CLUSTERS, "clusters", content_hash(configuration), CODE_VERSION, inputs)


def _pairs_manifest(context: StageContext, index: int, corpus_input: Input) -> Path:
    path = pairs_folder(context, index) / MANIFEST_NAME
    reason = manifests.why_to_do(path, pairs_recipe(context, index, corpus_input))
    if reason is not None:
        raise MissingOutputError(f"{path.parent}: {reason}", Component.DEDUP_PAIRS)
    return path


def _write(context: StageContext, corpus: CleanedCorpus, folder: Path) -> Made:
    from pretrain_dataprep.dedup.clusters import Clusters, size_histogram
    from pretrain_dataprep.dedup.survivors import add_samples, survivors_of, with_removed
    from pretrain_dataprep.dedup.topic_caps import capped_topics, topic_facts

    clusters = Clusters(_all_ranks(context, corpus))
    clusters.merge(_edges(context, EXACT_EDGES))
    exact_removed = clusters.removed_mask()
    sizes = {"exact": size_histogram(clusters.survivors)}
    clusters.merge(_edges(context, NEAR_EDGES))
    near_removed = clusters.removed_mask()
    clusters.merge(_edges(context, SEMANTIC_EDGES))
    if context.data.dedup.near is not None or context.data.dedup.semantic is not None:
        sizes["all"] = size_histogram(clusters.survivors)
    removed_mask = clusters.removed_mask()
    capped = capped_topics(context, corpus, removed_mask)
    if capped is not None:
        removed_mask |= np.packbits(capped.removed)
    cuts = _cuts(context, corpus, removed_mask, folder / _WAITING)
    removed = dict.fromkeys(REASONS, 0)
    by_unit: dict[str, dict[str, int]] = {}
    samples: dict[str, dict[str, list[str]]] = {}
    cut_bytes: dict[str, int] = {}
    for place, unit in enumerate(corpus.units):
        survivors = survivors_of(corpus, unit, clusters.survivors, [exact_removed, near_removed])
        if capped is not None:
            surplus = np.flatnonzero(capped.removed[unit.first_id : unit.first_id + unit.documents])
            survivors = with_removed(survivors, surplus.astype(np.uint32), place, CLUSTER_CAP)
        if cuts is not None:
            found = cuts.of(unit)
            write_array(folder / cuts_name(unit.name), found.spans)
            cut_bytes[unit.name] = found.bytes
            survivors = with_removed(survivors, found.emptied, place, REPEATED_TEXT)
        write_array(folder / rows_name(unit.name), survivors[0])
        write_array(folder / survivors_name(unit.name), survivors[1])
        for kind, reason in enumerate(REASONS):
            count = int((survivors[1]["kind"] == kind).sum())
            removed[reason] += count
            by_unit.setdefault(unit.name, {})[reason] = count
        add_samples(corpus, unit, survivors, samples.setdefault(unit.source.name, {}))
        context.progress.add(unit.documents, unit.documents - len(survivors[0]))
    facts: dict[str, Any] = {"clusterSizes": sizes, "removedByUnit": by_unit, "samples": samples}
    counts = {"documentsIn": corpus.documents, "documentsOut": corpus.documents - sum(removed.values())}
    if capped is not None:
        facts |= topic_facts(context, capped)
    if cuts is not None:
        cuts.remove()
        facts |= {"cutBytesByUnit": cut_bytes, "repeatedSpans": dict(sorted(cuts.spans.items()))}
        counts["cutBytes"] = sum(cut_bytes.values())
    (folder / CLUSTERS).write_bytes(json_bytes(facts))
    return Made(counts, {reason: count for reason, count in removed.items() if count})


def _cuts(context: StageContext, corpus: CleanedCorpus, removed_mask: np.ndarray, folder: Path) -> CutCollector | None:
    """Gather the repeated spans that go, of documents that stay; None: the job doesn't look for any."""
    kinds = span_kinds(context.data.dedup)
    if not kinds:
        return None
    from pretrain_dataprep.dedup.clusters import is_set
    from pretrain_dataprep.dedup.cuts import CutCollector
    from pretrain_dataprep.dedup.repetitions import superfluous

    cuts = CutCollector(corpus, folder)
    for kind in kinds:
        for repeated in _whole_groups(context, repeated_name(kind)):
            ids = repeated["id"]
            spans = superfluous(repeated, is_set(removed_mask, ids))
            cuts.add(kind, spans["id"], spans["start"], spans["end"])
    return cuts


def _whole_groups(context: StageContext, name: str) -> Iterator[np.ndarray]:
    """Yield repeated spans, a number of whole groups of equal ones at a time."""
    for index in range(context.data.shards):
        spans = np.load(pairs_folder(context, index) / name, mmap_mode="r")
        first = 0
        while first < len(spans):
            last = min(first + _EDGES_AT_A_TIME, len(spans))
            while last < len(spans) and not spans["leads"][last]:
                last += 1
            yield np.asarray(spans[first:last])
            first = last


def _all_ranks(context: StageContext, corpus: CleanedCorpus) -> np.ndarray:
    from pretrain_dataprep.dedup.clusters import ranks, scaled_scores

    keep = context.data.dedup.keep
    places = {source.name: place for place, source in enumerate(context.data.sources)}
    result = np.empty(corpus.documents, np.uint64)
    for unit in corpus.units:
        measure = scaled_scores(unit.array(QUALITY)) if keep == "quality" else unit.array(CHARACTERS)
        own = slice(unit.first_id, unit.first_id + unit.documents)
        result[own] = ranks(places[unit.source.name], measure, unit.array(IDS), keep)
    return result


def _edges(context: StageContext, name: str) -> Iterator[np.ndarray]:
    for index in range(context.data.shards):
        path = pairs_folder(context, index) / name
        if path.exists():
            edges = np.load(path, mmap_mode="r")
            for first in range(0, len(edges), _EDGES_AT_A_TIME):
                yield np.asarray(edges[first : first + _EDGES_AT_A_TIME])
