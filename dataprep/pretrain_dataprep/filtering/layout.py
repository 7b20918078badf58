"""The files of data/filters/.

quality.npy, toxicity.npy             classifiers trained here
quality.fasttext, toxicity.fasttext   given ones
languages.fasttext                    a given model of languages
words.npy                             hashes of listed words and phrases
ngram-keys.npy, ngram-values.npy, ngram-model.json   the n-gram model
clusters-centroids.npy, clusters-idf.npy, clusters.json   clusters by topic, with a few words of each (topics.model)
thresholds.json                       thresholds taken from percentiles
"""

from __future__ import annotations

import json
from pathlib import Path

from pretrain_dataprep.files import json_bytes

LANGUAGES, QUALITY, TOXICITY = "languages", "quality", "toxicity"
WORDS = "words.npy"
_THRESHOLDS = "thresholds.json"


def given_name(name: str) -> str:
    """Return the file name of a given fastText model."""
    return f"{name}.fasttext"


def trained_name(name: str) -> str:
    """Return the file name of a classifier trained here."""
    return f"{name}.npy"


def save_thresholds(folder: Path, thresholds: dict[str, float]) -> None:
    """Write the thresholds by name."""
    (folder / _THRESHOLDS).write_bytes(json_bytes(thresholds))


def load_thresholds(folder: Path) -> dict[str, float]:
    """Read the thresholds by name."""
    thresholds: dict[str, float] = json.loads((folder / _THRESHOLDS).read_bytes())
    return thresholds
