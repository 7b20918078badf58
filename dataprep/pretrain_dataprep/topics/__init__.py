"""Clusters of documents by topic, and how many documents of each stay."""
