"""Training hyper-parameters as the models' authors documented them."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True)
class DocumentedSettings:
    """One row of documented_settings.csv; empty text where the source doesn't say.

    Values are kept as they are documented ("32K->3.2M" tokens a batch, "lr^2"), not parsed: they are there to be read
    beside one's own choice.
    """

    model: str
    batch_tokens: str
    peak_learning_rate: str
    schedule: str
    optimizer: str
    precision: str
    weight_decay: str
    gradient_clip: str
    source: str
    note: str

    def as_json(self) -> dict[str, str | float | None]:
        """Return camelCase keys; None where nothing is documented; the learning rate as a number."""
        return {
            "model": self.model,
            "batchTokens": self.batch_tokens or None,
            "peakLearningRate": float(self.peak_learning_rate) if self.peak_learning_rate else None,
            "schedule": self.schedule or None,
            "optimizer": self.optimizer or None,
            "precision": self.precision or None,
            "weightDecay": self.weight_decay or None,
            "gradientClip": float(self.gradient_clip) if self.gradient_clip else None,
            "source": self.source,
            "note": self.note or None,
        }


@cache
def documented_settings() -> dict[str, DocumentedSettings]:
    """Return all rows by model."""
    text = files(__package__).joinpath("documented_settings.csv").read_text(encoding="utf-8")
    _, *rows = csv.reader(text.splitlines())
    return {row[0]: DocumentedSettings(*row) for row in rows}
