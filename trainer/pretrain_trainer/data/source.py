"""One source: the token streams of its pairs, one after the other, cut in windows."""

from __future__ import annotations

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
        self.starts = np.concatenate(([0], np.cumsum(sizes)))

    def __len__(self) -> int:
        return int(self.starts[-1])

    def read(self, start: int, length: int) -> NDArray[np.int64]:
        """Return `length` tokens from `start` on, int64; fewer where the stream ends."""
        pieces = []
        end = min(start + length, len(self))
        file = int(np.searchsorted(self.starts, start, side="right")) - 1
        while start < end:
            stop = min(end, int(self.starts[file + 1]))
            base = int(self.starts[file])
            pieces.append(np.asarray(self.files[file].tokens[start - base : stop - base], dtype=np.int64))
            start, file = stop, file + 1
        return np.concatenate(pieces) if pieces else np.empty(0, dtype=np.int64)


class WindowOrder:
    """Which window of a source its n-th use reads: every epoch in an order and with an offset of its own.

    There are T // L - 1 windows of L tokens in T, so that they fit at every offset in [0, L), each with the token after
    it; a source shorter than 2 L has one window.
    """

    def __init__(self, num_tokens: int, sequence_length: int, seed: int, source: int) -> None:
        self.sequence_length = sequence_length
        self.num_windows = max(1, num_tokens // sequence_length - 1)
        self.num_offsets = min(sequence_length, num_tokens - self.num_windows * sequence_length)
        self.key = (seed, source)

    def starts(self, use: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the first token of the window that each use (from 0) of the source reads, int64."""
        epoch, position = np.divmod(use.astype(np.uint64), np.uint64(self.num_windows))
        window = permute(position, self.num_windows, keyed_hash(_ORDER, *self.key, epoch))
        offset = keyed_hash(_OFFSET, *self.key, epoch) % np.uint64(self.num_offsets)
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
