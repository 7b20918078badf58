"""Clusters of documents by topic: finding them on a sample, and assigning documents to them."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.dataprep.ours import least
from pretrain_dataprep.text.batch import TextBatch
from pretrain_dataprep.topics.model import train_topics

CLUSTERS = 100
_PART_CHARACTERS = 2000
_SEED = 1


def write_parts(texts: list[str], path: Path) -> int:
    """Write texts as documents of at most 2,000 characters, JSON lines; return how many."""
    parts = parts_of(texts)
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps({"text": part}, ensure_ascii=False) + "\n" for part in parts)
    return len(parts)


def parts_of(texts: list[str]) -> list[str]:
    """Return texts in parts of at most 2,000 characters."""
    return [text[first : first + _PART_CHARACTERS] for text in texts for first in range(0, len(text), _PART_CHARACTERS)]


def topic_seconds(texts: list[str]) -> tuple[float, float]:
    """Measure finding a hundred clusters by TF-IDF, and assigning all documents; return the seconds of both."""
    documents = [part.encode() for part in parts_of(texts)]
    found = least(lambda: train_topics(documents, CLUSTERS, _SEED, None), repeats=2)
    model, _ = train_topics(documents, CLUSTERS, _SEED, None)
    return found, least(lambda: model.assign(TextBatch.of(documents), None))
