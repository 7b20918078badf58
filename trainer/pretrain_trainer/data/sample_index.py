"""The global sample index: which source and which use of it the i-th sequence of a run is; and what is skipped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pretrain_trainer.data.interleave import TABLE_SLOTS, InterleaveTable, interleave_table

Int64Array = NDArray[np.int64]


@dataclass(frozen=True)
class PhaseWeights:
    """A range of sequence indices, from `first_sequence` to the next phase, with constant weights by source."""

    first_sequence: int
    weights: tuple[float, ...]


class SampleIndex:
    """A pure function from sequence index to (source, use of the source)."""

    def __init__(self, phases: Sequence[PhaseWeights], seed: int) -> None:
        """Build the tables.

        Args:
            phases: In the order of their start; the first starts at 0.
            seed: Seed of the run.

        Raises:
            ValueError: The first phase doesn't start at 0, or a phase has no positive weight.
        """
        if not phases or phases[0].first_sequence != 0:
            raise ValueError("the first phase of the blend must start at 0")
        self.starts = np.array([phase.first_sequence for phase in phases], dtype=np.int64)
        self.tables = [interleave_table(np.array(phase.weights), seed, i) for i, phase in enumerate(phases)]
        self.uses_before_phase = _uses_before_phases(self.tables, self.starts)

    def locate(self, index: Int64Array) -> tuple[NDArray[np.int32], Int64Array]:
        """Return source (int32) and use of the source (int64) of each sequence index (int64)."""
        source = np.empty(index.shape, dtype=np.int32)
        use = np.empty(index.shape, dtype=np.int64)
        phase_of = np.searchsorted(self.starts, index, side="right") - 1
        for phase in np.unique(phase_of):
            chosen = phase_of == phase
            table, slot = np.divmod(index[chosen] - self.starts[phase], TABLE_SLOTS)
            pattern = self.tables[phase]
            source[chosen] = pattern.source[slot]
            before = self.uses_before_phase[phase][source[chosen]] + table * pattern.counts[source[chosen]]
            use[chosen] = before + pattern.occurrence[slot]
        return source, use

    def uses_before(self, index: int) -> Int64Array:
        """Return how often each source comes before the sequence `index`: int64[sources]."""
        phase = int(np.searchsorted(self.starts, index, side="right")) - 1
        return self.uses_before_phase[phase] + self.tables[phase].uses_before(index - int(self.starts[phase]))


def _uses_before_phases(tables: Sequence[InterleaveTable], starts: Int64Array) -> list[Int64Array]:
    uses = [np.zeros(tables[0].counts.size, dtype=np.int64)]
    for table, length in zip(tables, np.diff(starts), strict=False):
        uses.append(uses[-1] + table.uses_before(int(length)))
    return uses


@dataclass(frozen=True)
class SkipList:
    """Ranges [from, to) of sequence indices that training leaves out; sorted, disjoint."""

    ranges: tuple[tuple[int, int], ...] = ()

    def add(self, first: int, end: int) -> SkipList:
        """Return a list that leaves [first, end) out as well."""
        return SkipList(_merge([*self.ranges, (first, end)]))

    def index_of(self, consumed: Int64Array) -> Int64Array:
        """Return the sequence index of the k-th consumed sequence, for each k (int64, from 0)."""
        index = np.array(consumed, dtype=np.int64)
        for first, end in self.ranges:
            index[index >= first] += end - first
        return index

    def to_json(self) -> list[list[int]]:
        """Return the ranges as lists."""
        return [list(skipped) for skipped in self.ranges]

    @staticmethod
    def from_json(ranges: Iterable[Sequence[int]]) -> SkipList:
        """Return the list that `to_json` wrote."""
        return SkipList(_merge([(int(first), int(end)) for first, end in ranges]))


def _merge(ranges: list[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    merged: list[tuple[int, int]] = []
    for first, end in sorted(ranges):
        if end <= first:
            continue
        if merged and first <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((first, end))
    return tuple(merged)
