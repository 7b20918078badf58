"""One source: the token streams of its pairs, one after the other, cut in windows."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pretrain_trainer.data.permutation import keyed_hash, permute
from pretrain_trainer.data.token_file import TokenFile
from pretrain_trainer.errors import InvalidData

_ORDER = 0x6F72646572000001
_OFFSET = 0x6F66667365740001


class TokenStream:
    """The tokens of several pairs as one sequence, read across their boundaries."""

    def __init__(self, prefixes: Sequence[Path]) -> None:
        self.files = [TokenFile(prefix) for prefix in prefixes]
        sizes = np.array([file.tokens.size for file in self.files], dtype=np.int64)
        self._starts: list[int] = [0, *np.cumsum(sizes).tolist()]

    def __len__(self) -> int:
        return self._starts[-1]

    def read(self, start: int, length: int) -> NDArray[np.int64]:
        """Return `length` tokens from `start` on, int64; fewer where the stream ends."""
        out = np.empty(max(0, min(length, len(self) - start)), dtype=np.int64)
        self.read_into(start, out)
        return out

    def read_into(self, start: int, out: NDArray[np.int64]) -> None:
        """Fill `out` with the tokens from `start` on, which must be there."""
        file = bisect_right(self._starts, start) - 1
        filled = 0
        while filled < out.size:
            first = start + filled - self._starts[file]
            count = min(out.size - filled, self._starts[file + 1] - self._starts[file] - first)
            out[filled : filled + count] = self.files[file].tokens[first : first + count]
            filled, file = filled + count, file + 1

    def documents_around(self, start: int, length: int) -> tuple[int, int]:
        """Return where the first document begins and the last one ends that reach into a window."""
        return self._document_of(start)[0], self._document_of(min(start + length, len(self)) - 1)[1]

    def _document_of(self, position: int) -> tuple[int, int]:
        file = bisect_right(self._starts, position) - 1
        base = self._starts[file]
        start, end = self.files[file].document_of(position - base)
        return base + start, base + end


class WindowOrder:
    """Which window of a source its n-th use reads: every epoch in an order and with an offset of its own.

    There are T // L - 1 windows of L tokens in T, so that they fit at every offset in [0, L), each with the token after
    it; a source shorter than 2 L has one window.
    """

    def __init__(self, num_tokens: int, sequence_length: int, seed: int, source: int) -> None:
        self.sequence_length = sequence_length
        self.num_windows = max(1, num_tokens // sequence_length - 1)
        self.num_offsets = min(sequence_length, num_tokens - self.num_windows * sequence_length)
        self._order = keyed_hash(_ORDER, seed, source)
        self._offset = keyed_hash(_OFFSET, seed, source)

    def starts(self, use: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the first token of the window that each use (from 0) of the source reads, int64."""
        epoch, position = np.divmod(use.astype(np.uint64), np.uint64(self.num_windows))
        window = permute(position, self.num_windows, keyed_hash(epoch, after=self._order))
        offset = keyed_hash(epoch, after=self._offset) % np.uint64(self.num_offsets)
        return (offset + window * np.uint64(self.sequence_length)).astype(np.int64)


def training_stream(name: str, prefixes: Sequence[Path], sequence_length: int) -> TokenStream:
    """Return the training tokens of the source `name`.

    Raises:
        InvalidData: They don't fill one sequence.
    """
    stream = TokenStream(prefixes)
    if len(stream) <= sequence_length:
        raise InvalidData(
            f"source {name!r} has {len(stream)} training tokens, one sequence takes {sequence_length + 1} "
            "(spec.training.sequenceLength and the token after it): add documents, loosen the filters of "
            "spec.data.clean or lower spec.training.sequenceLength",
            reason="CorpusTooSmall",
        )
    return stream
