"""Verdicts of the product's presets and of datatrove's filters on the same documents, and why they differ."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import combinations

from datatrove.data import Document
from datatrove.pipeline.filters import (
    C4QualityFilter,
    FineWebQualityFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
)

from benchmarks.verdicts.definitions import BY_FILTER, KEEPS
from pretrain_dataprep.cleaning.sieve import Sieve
from pretrain_dataprep.text.batch import TextBatch
from pretrain_dataprep.text.metrics import FIRST_REPETITION_METRIC
from pretrain_dataprep.text.presets import PRESETS, Filters

_GOPHER = [rule for rule in PRESETS["gopher"].rules if rule.least is not None or rule.greatest is not None]
OURS = {
    "gopher-quality": Filters(tuple(rule for rule in _GOPHER if rule.metric < FIRST_REPETITION_METRIC)),
    "gopher-repetition": Filters(tuple(rule for rule in _GOPHER if rule.metric >= FIRST_REPETITION_METRIC)),
    "c4": PRESETS["c4"],
    "fineweb": Filters(PRESETS["fineweb"].final_rules),
}
"""The presets in the parts that datatrove has filters for."""


def datatrove_filters() -> dict[str, object]:
    """Return datatrove's filters: as they come, but with the thresholds of the papers where theirs are others."""
    return {
        "gopher-quality": GopherQualityFilter(),
        "gopher-repetition": GopherRepetitionFilter(),
        "c4": C4QualityFilter(min_words_per_line=5, min_num_sentences=3),
        "fineweb": FineWebQualityFilter(char_duplicates_ratio=0.1),
    }


@dataclass
class Outcome:
    """What came out for one filter."""

    both_keep: int = 0
    both_remove: int = 0
    only_ours_keeps: int = 0
    only_theirs_keeps: int = 0
    causes: Counter[str] = field(default_factory=Counter)
    """Differences by what they come from; several definitions are joined by " + "."""
    unexplained: list[str] = field(default_factory=list)
    """Documents whose verdicts the definitions don't account for."""

    @property
    def documents(self) -> int:
        """Documents that were judged."""
        return self.both_keep + self.both_remove + self.only_ours_keeps + self.only_theirs_keeps

    def add(self, name: str, text: str, ours: bool, theirs: bool) -> None:
        """Count a document."""
        if ours == theirs:
            self.both_keep += ours
            self.both_remove += not ours
            return
        self.only_ours_keeps += ours
        self.only_theirs_keeps += theirs
        cause = cause_of(name, text, ours, theirs)
        if cause is None:
            self.unexplained.append(text)
        else:
            self.causes[cause] += 1


def compare(texts: list[str]) -> dict[str, Outcome]:
    """Judge documents both ways."""
    outcomes = {name: Outcome() for name in OURS}
    ours = {name: _kept(texts, filters) for name, filters in OURS.items()}
    filters = datatrove_filters()
    # Document by document: datatrove keeps the tokens of the last texts.
    for index, text in enumerate(texts):
        for name, outcome in outcomes.items():
            verdict = filters[name].filter(Document(text=text, id=str(index)))  # type: ignore[attr-defined]
            outcome.add(name, text, index in ours[name], verdict is True)
    return outcomes


def _kept(texts: list[str], filters: Filters) -> set[int]:
    sieve = Sieve(TextBatch.of(text.encode() for text in texts))
    sieve.filter(filters)
    return set(sieve.rows.tolist())


def cause_of(name: str, text: str, ours: bool, theirs: bool) -> str | None:
    """Return the fewest definitions that turn datatrove's verdict into the product's; None: all don't."""
    keeps, causes = KEEPS[name], BY_FILTER[name]
    if keeps(text, frozenset()) != theirs or keeps(text, frozenset(causes)) != ours:
        return None
    for size in range(1, len(causes) + 1):
        for some in combinations(causes, size):
            if keeps(text, frozenset(some)) == ours:
                return " + ".join(some)
    return None
