"""The documents of a batch that the filters have left so far, and why the others went."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from pretrain_dataprep.text.batch import TextBatch
from pretrain_dataprep.text.filters import judge, wants_repetition
from pretrain_dataprep.text.lines import edit_lines
from pretrain_dataprep.text.measure import measure
from pretrain_dataprep.text.metrics import FIRST_REPETITION_METRIC, Metric
from pretrain_dataprep.text.presets import Filters, Rule


class Sieve:
    """A batch on its way through the filters."""

    def __init__(self, batch: TextBatch) -> None:
        self.batch = batch
        """What is left."""
        self.rows = np.arange(len(batch))
        """int64, shape (documents left,): index into the batch as read."""
        self.characters = np.zeros(len(batch), np.int64)
        """Characters of each document left, once rules have been applied: int64, shape (documents left,)."""
        self.quality = np.zeros(len(batch), np.float32)
        """Score of each document left, once a classifier has judged it: float32, shape (documents left,)."""
        self.removed: list[tuple[int, str]] = []
        """(index into the batch as read, reason)."""
        self.removed_lines: Counter[str] = Counter()
        """Lines removed from documents that weren't removed for them, by reason."""

        self.languages: Counter[str] = Counter()
        """Documents by identified language."""
        self.language_bytes: Counter[str] = Counter()
        """Their bytes."""
        self._tagged: dict[str, set[int]] = {}

    def filter(self, filters: Filters) -> None:
        """Apply the job's rules."""
        if filters.rules:
            self._apply(filters.rules)
        if filters.lines is not None:
            edited = edit_lines(self.batch, filters.lines)
            self.batch = edited.batch
            self.removed_lines.update(edited.removed_lines)
            self.drop(edited.reasons)
            self._apply(filters.final_rules)

    def count_languages(self, languages: Sequence[str]) -> None:
        """Count the documents left and their bytes by the language of each."""
        self.languages.update(languages)
        for language, size in zip(languages, self.batch.sizes().tolist(), strict=True):
            self.language_bytes[language] += size

    def drop(self, reasons: Sequence[str | None]) -> None:
        """Remove the documents left that have a reason."""
        stay = np.array([reason is None for reason in reasons], bool)
        self.removed += [
            (int(row), reason) for row, reason in zip(self.rows, reasons, strict=True) if reason is not None
        ]
        self.batch = self.batch.select(stay)
        self.rows = self.rows[stay]
        self.characters = self.characters[stay]
        self.quality = self.quality[stay]

    def tag(self, name: str, mask: np.ndarray) -> None:
        """Tag documents left: bool, shape (documents left,)."""
        self._tagged.setdefault(name, set()).update(self.rows[mask].tolist())

    @property
    def tags(self) -> list[list[str]]:
        """Return the tags of each document left."""
        return [[name for name, rows in self._tagged.items() if row in rows] for row in self.rows.tolist()]

    def _apply(self, rules: tuple[Rule, ...]) -> None:
        """Apply rules. Repetition is measured only where the cheaper ones left something."""
        cheap = tuple(rule for rule in rules if rule.metric < FIRST_REPETITION_METRIC)
        costly = tuple(rule for rule in rules if rule.metric >= FIRST_REPETITION_METRIC)
        metrics = measure(self.batch, repetition=False, gopher_repetition=False)
        self.characters = metrics[:, Metric.CHARACTERS].astype(np.int64)
        self.drop(judge(metrics, cheap).by_document())
        if costly:
            measured = measure(self.batch, *wants_repetition(costly))
            self.drop(judge(measured, costly).by_document())
