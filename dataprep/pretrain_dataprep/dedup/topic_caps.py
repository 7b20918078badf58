"""The caps of clusters by topic, applied to what deduplication left of all units."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pretrain_dataprep.choice import fractions
from pretrain_dataprep.cleaned import CleanedCorpus, CleanedUnit
from pretrain_dataprep.cleaning.unit_layout import CONTENT_HASHES, CONTENT_ROWS, IDS, TOPICS
from pretrain_dataprep.context import StageContext
from pretrain_dataprep.dedup.clusters import is_set
from pretrain_dataprep.topics.capping import PURPOSE, Capped, Members, cap_clusters
from pretrain_dataprep.topics.model import load_words

_AT_A_TIME = 1 << 20


def capped_topics(context: StageContext, corpus: CleanedCorpus, removed_mask: np.ndarray) -> Capped | None:
    """Return which documents go because their clusters have enough others; None: the job caps nothing.

    Args:
        context: The stage's.
        corpus: All units.
        removed_mask: Packed, of the documents that are gone already.
    """
    options = context.data.clean.clusters
    if options is None:
        return None

    def members() -> Iterator[Members]:
        return (_members(unit, removed_mask, context.seed) for unit in corpus.units)

    return cap_clusters(members, corpus.documents, options.count, options.max_documents, options.max_share)


def _members(unit: CleanedUnit, removed_mask: np.ndarray, seed: int) -> Members:
    numbers = np.arange(unit.first_id, unit.first_id + unit.documents)
    left = ~is_set(removed_mask, numbers)
    return Members(unit.first_id, unit.array(TOPICS), _places(unit, seed), unit.array(IDS), left)


def _places(unit: CleanedUnit, seed: int) -> np.ndarray:
    """Return what decides who stays, a number in [0, 1) for each document: float64, shape (documents,)."""
    hashes, rows = unit.array(CONTENT_HASHES), unit.array(CONTENT_ROWS)
    places = np.empty(unit.documents)
    for first in range(0, unit.documents, _AT_A_TIME):
        some = slice(first, first + _AT_A_TIME)
        places[rows[some]] = fractions(np.asarray(hashes[some]), seed, PURPOSE)
    return places


def topic_facts(context: StageContext, capped: Capped) -> dict[str, object]:
    """Return words, size and what stayed of each cluster that isn't empty, the largest first, for clusters.json."""
    words = [*load_words(context.layout.filters), []]
    found = zip(words, capped.sizes.tolist(), capped.kept.tolist(), strict=True)
    clusters = [{"words": some, "documents": size, "kept": kept} for some, size, kept in found if size]
    return {"topicClusterCap": capped.cap, "topicClusters": sorted(clusters, key=lambda one: -one["documents"])}
