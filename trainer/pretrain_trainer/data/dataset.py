"""The sequences of a run, by their place in it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pretrain_api.wire import Blend, StorageLayout
from pretrain_trainer.data.permutation import keyed_hash
from pretrain_trainer.data.sample_index import Int64Array, PhaseWeights, SampleIndex
from pretrain_trainer.data.source import TokenStream, WindowOrder, training_stream
from pretrain_trainer.errors import InvalidData

IGNORED_TARGET = -100
"""Target of positions that don't count, as in torch.nn.functional.cross_entropy."""


PARTNER_ATTEMPTS = 10
_PARTNER = 0x706172746E650001  # keeps these hashes apart from those of other uses of the seed


def read_blend(storage: StorageLayout) -> Blend:
    """Return what the preparation says about the data.

    Raises:
        InvalidData: data/blend.json is missing or unreadable, or the data of another job isn't what it was any more.
    """
    blend = _read_blend(storage)
    if blend.prepared is not None:
        now = _read_blend(StorageLayout(blend.prepared))
        if now.fingerprint != blend.fingerprint:
            raise InvalidData(
                f"spec.data.prepared: {blend.prepared}: its data was prepared anew since this job began; "
                "start over (--fresh, or a job of another name)"
            )
    return blend


def _read_blend(storage: StorageLayout) -> Blend:
    try:
        return Blend.model_validate_json(storage.blend.read_bytes())
    except FileNotFoundError:
        raise InvalidData(f"{storage.blend}: does not exist; run the data preparation first") from None
    except ValueError as error:
        first_line = str(error).splitlines()[0]
        raise InvalidData(f"{storage.blend}: {first_line}; run the data preparation again") from None


class TrainingData:
    """Training sequences as a pure function of (seed, blend, sequence index)."""

    def __init__(
        self, blend: Blend, root: Path, sequence_length: int, seed: int, window_length: int | None = None
    ) -> None:
        """Map the token files of all sources with a weight.

        Args:
            blend: What there is to read.
            root: The job's storage.
            sequence_length: Tokens by which a sequence counts.
            seed: Seed of the run.
            window_length: Tokens of text a sequence is made of; default: `sequence_length`.

        Raises:
            InvalidData: A file is missing or damaged, or a source is too small for one sequence.
        """
        self.window_length = window_length or sequence_length
        self.source_names = [source.name for source in blend.sources]
        self.index = SampleIndex(_phases(blend, sequence_length), seed)
        used = {name for phase in blend.phases for name, weight in phase.weights.items() if weight > 0}
        self.streams: dict[int, TokenStream] = {}
        self.orders: dict[int, WindowOrder] = {}
        self._seed = seed
        for number, source in enumerate(blend.sources):
            if source.name not in used:
                continue
            prefixes = [root / pair.train for pair in source.pairs if pair.train is not None]
            stream = training_stream(source.name, prefixes, self.window_length)
            self.streams[number] = stream
            self.orders[number] = WindowOrder(len(stream), self.window_length, seed, number)

    def read(self, index: Int64Array) -> Int64Array:
        """Return the sequences with the given indices: int64[len(index), window_length + 1].

        The last token of a row is the target of the one before it; it is the first of no window's inputs but its own.
        """
        rows = np.empty((index.size, self.window_length + 1), dtype=np.int64)
        for row, (number, start) in enumerate(self._places(index)):
            self.streams[number].read_into(start, rows[row])
        return rows

    def read_partners(self, index: Int64Array) -> Int64Array:
        """Return for each sequence a window of another document of its source, of the same shape."""
        rows = np.empty((index.size, self.window_length + 1), dtype=np.int64)
        for row, (number, start) in enumerate(self._places(index)):
            rows[row] = other_window(self.streams[number], start, self.window_length, self._seed, int(index[row]))
        return rows

    def _places(self, index: Int64Array) -> list[tuple[int, int]]:
        """Return source and first token of each sequence."""
        source, use = self.index.locate(index)
        starts = np.empty(index.size, dtype=np.int64)
        for number in np.unique(source):
            chosen = source == number
            starts[chosen] = self.orders[int(number)].starts(use[chosen])
        return list(zip(source.tolist(), starts.tolist(), strict=True))


def other_window(stream: TokenStream, start: int, length: int, seed: int, index: int) -> Int64Array:
    """Return `length` + 1 tokens of `stream` that begin in other documents than those of the window at `start`.

    Several places are tried, as in BERT's create_pretraining_data; the last one is taken in any case.
    """
    first, end = stream.documents_around(start, length)
    places = keyed_hash(_PARTNER, seed, index, np.arange(PARTNER_ATTEMPTS)) % np.uint64(len(stream) - length)
    place = next((int(p) for p in places if p >= end or p + np.uint64(length) <= first), int(places[-1]))
    return stream.read(place, length + 1)


def _phases(blend: Blend, sequence_length: int) -> list[PhaseWeights]:
    names = [source.name for source in blend.sources]
    return [
        PhaseWeights(
            math.ceil(phase.from_tokens / sequence_length),
            tuple(phase.weights.get(name, 0.0) for name in names),
        )
        for phase in blend.phases
    ]


@dataclass(frozen=True)
class ValidationWindows:
    """Some windows of a source.

    Attributes:
        index: int64[n], their places: the same in each evaluation.
        rows: int64[n, window_length + 1].
        lengths: int64[n], tokens of each row; 0 where the data is at its end.
    """

    index: Int64Array
    rows: Int64Array
    lengths: Int64Array


class ValidationData:
    """Validation sequences: windows spread evenly over what each source held back."""

    def __init__(self, blend: Blend, root: Path, window_length: int, max_sequences: int) -> None:
        self.window_length = window_length
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
            self.starts[source.name] = _spread_windows(len(stream), window_length, max_sequences)

    def windows(self, source: str, size: int, rank: int, world_size: int) -> Iterator[ValidationWindows]:
        """Yield this rank's share, `size` windows at most at a time; all ranks yield equally often."""
        starts = self.starts[source]
        for first in range(0, math.ceil(len(starts) / world_size), size):
            numbers = range(first * world_size + rank, min(len(starts), (first + size) * world_size), world_size)
            yield self._windows(source, list(numbers))

    def read_partners(self, source: str, windows: ValidationWindows) -> Int64Array:
        """Return for each window one of another document, of the same shape; the same in each evaluation."""
        stream = self.streams[source]
        rows = np.zeros_like(windows.rows)
        for row, number in enumerate(windows.index.tolist()):
            if len(stream) > self.window_length:
                rows[row] = other_window(stream, self.starts[source][number], self.window_length, 0, number)
            else:
                rows[row] = windows.rows[row]  # there is no other
        return rows

    def _windows(self, source: str, numbers: list[int]) -> ValidationWindows:
        count = max(1, len(numbers))  # a window without text where there are no more, for ranks that wait for us
        rows = np.zeros((count, self.window_length + 1), dtype=np.int64)
        lengths = np.zeros(count, dtype=np.int64)
        for row, number in enumerate(numbers):
            window = self.streams[source].read(self.starts[source][number], self.window_length + 1)
            rows[row, : window.size] = window
            lengths[row] = window.size
        return ValidationWindows(np.array([*numbers, *[0] * (count - len(numbers))], dtype=np.int64), rows, lengths)


def _spread_windows(num_tokens: int, sequence_length: int, max_sequences: int) -> list[int]:
    num_windows = max(1, (num_tokens - 1) // sequence_length)
    count = min(num_windows, max_sequences)
    return [window * num_windows // count * sequence_length for window in range(count)]
