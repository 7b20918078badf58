"""Clusters of documents by topic, and what their caps left."""

from __future__ import annotations

from dataclasses import dataclass

from pretrain_api.wire import DataReport, TopicCluster

MOST_SHOWN = 30


@dataclass(frozen=True)
class Topics:
    """Clusters of documents by topic."""

    count: int
    documents: int
    """Of all clusters, before they were capped."""
    cut: int
    """Clusters that the cap made smaller."""
    shown: list[TopicCluster]
    """The largest ones."""


def topics(report: DataReport) -> Topics:
    """Return the clusters by topic; none, where the job has no caps."""
    clusters = report.topic_clusters
    documents = sum(cluster.documents for cluster in clusters)
    cut = sum(cluster.kept < cluster.documents for cluster in clusters)
    return Topics(len(clusters), documents, cut, clusters[:MOST_SHOWN])
