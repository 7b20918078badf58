"""Who went from a unit, and who stayed in each one's place."""

from __future__ import annotations

import numpy as np

from pretrain_dataprep.cleaned import CleanedCorpus, CleanedUnit
from pretrain_dataprep.cleaning.unit_layout import excerpt
from pretrain_dataprep.dedup.clusters import is_set
from pretrain_dataprep.dedup.layout import EXACT, NEAR, OF_THEMSELVES, REASONS, SEMANTIC, SURVIVOR
from pretrain_dataprep.documents import read_rows

_SAMPLES = 3


def survivors_of(
    corpus: CleanedCorpus, unit: CleanedUnit, survivors: np.ndarray, removed_by: list[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Return a unit's removed rows (uint32, sorted) and who survived in their places (SURVIVOR).

    `removed_by`: packed masks of what was removed by exact edges, and by those and near ones.
    """
    own = np.arange(unit.first_id, unit.first_id + unit.documents)
    stayed = survivors[unit.first_id : unit.first_id + unit.documents].astype(np.int64)
    rows = np.flatnonzero(stayed != own)
    stayed = stayed[rows]
    result = np.empty(len(rows), SURVIVOR)
    # Empty units share their first id with the next one: the last one that starts at or before an id holds it.
    units = np.searchsorted(corpus.first_ids[:-1], stayed, side="right") - 1
    result["unit"] = units
    result["row"] = stayed - corpus.first_ids[units]
    ids = own[rows]
    was_exact, was_near = (is_set(mask, ids) for mask in removed_by)
    result["kind"] = np.where(was_exact, EXACT, np.where(was_near, NEAR, SEMANTIC))
    return rows.astype(np.uint32), result


def with_removed(
    survivors: tuple[np.ndarray, np.ndarray], more: np.ndarray, place: int, kind: int
) -> tuple[np.ndarray, np.ndarray]:
    """Add documents in whose place none stayed to the removed rows and survivors of the unit at `place`."""
    added = np.empty(len(more), SURVIVOR)
    added["unit"], added["row"], added["kind"] = place, more, kind
    rows = np.concatenate([survivors[0], more])
    order = np.argsort(rows)
    return rows[order], np.concatenate([survivors[1], added])[order]


def add_samples(
    corpus: CleanedCorpus, unit: CleanedUnit, survivors: tuple[np.ndarray, np.ndarray], samples: dict[str, list[str]]
) -> None:
    """Add up to three excerpts a reason to `samples`."""
    rows, stayed = survivors
    for kind, reason in enumerate(REASONS):
        known = samples.setdefault(reason, [])
        wanted = np.flatnonzero(stayed["kind"] == kind)[: _SAMPLES - len(known)]
        for place in wanted:
            other = corpus.units[int(stayed[place]["unit"])]
            (removed,), (kept,) = read_rows(unit, [int(rows[place])]), read_rows(other, [int(stayed[place]["row"])])
            where = removed.location if kind in OF_THEMSELVES else f"{removed.location} (kept: {kept.location})"
            known.append(excerpt(where, removed.text))
