"""What was found in the documents, and what was changed within them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from pretrain_api.wire import DataReport
from pretrain_report import formats

_LANGUAGES_SHOWN = 20
_ITEMS_SHOWN = 100


@dataclass(frozen=True)
class IdentifiedLanguage:
    """Documents that a model took for one language."""

    language: str
    documents: int
    bytes: int


def identified_languages(report: DataReport) -> list[IdentifiedLanguage]:
    """Return the languages that were identified, those of most documents first; the rare ones as one row."""
    documents: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    for source in report.sources:
        documents.update(source.languages)
        sizes.update(source.language_bytes)
    order = sorted(documents, key=lambda language: (-documents[language], language))
    rows = [IdentifiedLanguage(name, documents[name], sizes[name]) for name in order]
    if len(rows) <= _LANGUAGES_SHOWN + 1:
        return rows
    rest = rows[_LANGUAGES_SHOWN:]
    others = IdentifiedLanguage(
        f"{len(rest)} others", sum(row.documents for row in rest), sum(row.bytes for row in rest)
    )
    return [*rows[:_LANGUAGES_SHOWN], others]


@dataclass(frozen=True)
class Change:
    """Something that was done to documents without removing them."""

    what: str
    kind: str
    amount: str


def changes(report: DataReport) -> list[Change]:
    """Return what was cut out of documents, replaced in them, and how they were tagged."""
    lines, replaced, tagged = (Counter[str]() for _ in range(3))
    for source in report.sources:
        lines.update(source.removed_lines)
        replaced.update(source.redacted)
        tagged.update(source.tagged)
    found = [
        *_counted("Lines removed", lines),
        *_counted("Personal data replaced", replaced),
        *_counted("Documents tagged", tagged),
    ]
    if report.cut_bytes:
        found.append(Change("Repeated text cut out", "", formats.size(report.cut_bytes)))
    return found


def _counted(what: str, counts: Counter[str]) -> Iterator[Change]:
    order = sorted(counts, key=lambda kind: (-counts[kind], kind))
    return (Change(what, kind, formats.count(counts[kind])) for kind in order)


@dataclass(frozen=True)
class ContaminatedSet:
    """An evaluation set, and what of it the documents overlap with."""

    name: str
    hit: int
    """Items that a document overlaps with."""
    overlaps: int
    """Pairs of a document and an item."""
    items: tuple[tuple[str, int], ...]
    """Line of an item (of the file) and documents that overlap with it: those of most documents."""


def contaminated_sets(report: DataReport) -> list[ContaminatedSet]:
    """Return the evaluation sets that documents overlap with, the one with most items first."""
    by_set: dict[str, dict[str, int]] = {}
    for location, documents in report.contamination.items():
        name, _, item = location.rpartition(":")
        by_set.setdefault(name, {})[item] = documents
    sets = [
        ContaminatedSet(
            name,
            len(items),
            sum(items.values()),
            tuple(sorted(items.items(), key=lambda item: (-item[1], item[0]))[:_ITEMS_SHOWN]),
        )
        for name, items in by_set.items()
    ]
    return sorted(sets, key=lambda one: (-one.hit, one.name))
