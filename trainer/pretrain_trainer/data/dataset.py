"""The sequences of a run, by their place in it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pretrain_api.wire import Blend, StorageLayout
from pretrain_trainer.data.sample_index import Int64Array, PhaseWeights, SampleIndex, SkipList
from pretrain_trainer.data.source import TokenStream, WindowOrder, training_stream
from pretrain_trainer.errors import InvalidData

IGNORED_TARGET = -100
"""Target of positions that don't count, as in torch.nn.functional.cross_entropy."""


def read_blend(storage: StorageLayout) -> Blend:
    """Return what the preparation says about the data.

    Raises:
        InvalidData: data/blend.json is missing or unreadable.
    """
    try:
        return Blend.model_validate_json(storage.blend.read_bytes())
    except FileNotFoundError:
        raise InvalidData(f"{storage.blend}: does not exist; run the data preparation first") from None
    except ValueError as error:
        first_line = str(error).splitlines()[0]
        raise InvalidData(f"{storage.blend}: {first_line}; run the data preparation again") from None


class TrainingData:
    """Training sequences as a pure function of (seed, blend, sequence index)."""

    def __init__(self, blend: Blend, root: Path, sequence_length: int, seed: int) -> None:
        """Map the token files of all sources with a weight.

        Raises:
            InvalidData: A file is missing or damaged, or a source is too small for one sequence.
        """
        self.sequence_length = sequence_length
        self.source_names = [source.name for source in blend.sources]
        self.index = SampleIndex(_phases(blend, sequence_length), seed)
        used = {name for phase in blend.phases for name, weight in phase.weights.items() if weight > 0}
        self.streams: dict[int, TokenStream] = {}
        self.orders: dict[int, WindowOrder] = {}
        for number, source in enumerate(blend.sources):
            if source.name not in used:
                continue
            stream = training_stream(source.name, [root / pair.train for pair in source.pairs], sequence_length)
            self.streams[number] = stream
            self.orders[number] = WindowOrder(len(stream), sequence_length, seed, number)

    def read(self, index: Int64Array) -> Int64Array:
        """Return the sequences with the given indices: int64[len(index), sequence_length + 1].

        The last token of a row is the target of the one before it; it is the first of no window's inputs but its own.
        """
        source, use = self.index.locate(index)
        rows = np.empty((index.size, self.sequence_length + 1), dtype=np.int64)
        for number in np.unique(source):
            chosen = np.flatnonzero(source == number)
            for row, start in zip(chosen, self.orders[int(number)].starts(use[chosen]), strict=True):
                rows[row] = self.streams[int(number)].read(int(start), self.sequence_length + 1)
        return rows

    def read_consumed(self, first: int, count: int, skips: SkipList) -> Int64Array:
        """Return the `first`-th to (`first` + `count` - 1)-th consumed sequences, as `read` does."""
        return self.read(skips.index_of(np.arange(first, first + count, dtype=np.int64)))


def _phases(blend: Blend, sequence_length: int) -> list[PhaseWeights]:
    names = [source.name for source in blend.sources]
    return [
        PhaseWeights(
            math.ceil(phase.from_tokens / sequence_length),
            tuple(phase.weights.get(name, 0.0) for name in names),
        )
        for phase in blend.phases
    ]


class ValidationData:
    """Validation sequences: windows spread evenly over what each source held back."""

    def __init__(self, blend: Blend, root: Path, sequence_length: int, max_sequences: int) -> None:
        self.sequence_length = sequence_length
        self.streams: dict[str, TokenStream] = {}
        self.starts: dict[str, list[int]] = {}
        self.tokens = {source.name: source.validation_tokens for source in blend.sources}
        for source in blend.sources:
            prefixes = [
                root / pair.validation for pair in source.pairs if pair.validation and pair.validation_tokens > 1
            ]
            if not prefixes:
                continue
            stream = TokenStream(prefixes)
            self.streams[source.name] = stream
            self.starts[source.name] = _spread_windows(len(stream), sequence_length, max_sequences)

    def batches(self, source: str, size: int, rank: int, world_size: int) -> Iterator[tuple[Int64Array, Int64Array]]:
        """Yield this rank's share as (inputs, targets), each int64[1 to `size`, sequence_length].

        All ranks yield the same number of batches. Rows beyond the data, and what a window lacks to a whole sequence,
        have targets that don't count.
        """
        starts = self.starts[source]
        mine = starts[rank::world_size]
        for first in range(0, math.ceil(len(starts) / world_size), size):
            yield self._batch(source, mine[first : first + size] or [len(self.streams[source])])

    def _batch(self, source: str, starts: list[int]) -> tuple[Int64Array, Int64Array]:
        inputs = np.zeros((len(starts), self.sequence_length), dtype=np.int64)
        targets = np.full((len(starts), self.sequence_length), IGNORED_TARGET, dtype=np.int64)
        for row, start in enumerate(starts):
            window = self.streams[source].read(start, self.sequence_length + 1)
            inputs[row, : max(0, window.size - 1)] = window[:-1]
            targets[row, : max(0, window.size - 1)] = window[1:]
        return inputs, targets


def _spread_windows(num_tokens: int, sequence_length: int, max_sequences: int) -> list[int]:
    num_windows = max(1, (num_tokens - 1) // sequence_length)
    count = min(num_windows, max_sequences)
    return [window * num_windows // count * sequence_length for window in range(count)]
