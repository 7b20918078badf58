"""Megatron's indexed data set: tokens in a .bin file, their boundaries in a .idx file.

    .idx   magic "MMIDIDX\\0\\0", uint64 version 1, uint8 code of the tokens' type, uint64 sequences,
           uint64 document boundaries, int32 length of each sequence in tokens, int64 offset of each in the .bin in
           bytes, int64 the sequence at which each document begins, and the number of sequences at the end

All little-endian. Here a document is one sequence.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np

from pretrain_dataprep.files import atomic_file

MAGIC = b"MMIDIDX\x00\x00"
VERSION = 1
TYPE_CODES: dict[np.dtype, int] = {
    np.dtype(np.uint8): 1,
    np.dtype(np.int8): 2,
    np.dtype(np.int16): 3,
    np.dtype(np.int32): 4,
    np.dtype(np.int64): 5,
    np.dtype(np.float64): 6,
    np.dtype(np.float32): 7,
    np.dtype(np.uint16): 8,
}


class PairWriter:
    """Collects documents; tokens go to the .bin at once, lengths are kept until the end (4 bytes a document)."""

    def __init__(self, tokens_file: IO[bytes], dtype: np.dtype | type) -> None:
        self._file = tokens_file
        self._dtype = np.dtype(dtype)
        self._lengths: list[int] = []
        self.tokens = 0

    @property
    def documents(self) -> int:
        """Documents written so far."""
        return len(self._lengths)

    def add(self, tokens: list[int]) -> None:
        """Write a document."""
        self._file.write(np.array(tokens, self._dtype).tobytes())
        self._lengths.append(len(tokens))
        self.tokens += len(tokens)

    def write_index(self, file: IO[bytes]) -> None:
        """Write the .idx file."""
        lengths = np.array(self._lengths, np.int32)
        ends = np.cumsum(lengths, dtype=np.int64) * self._dtype.itemsize
        header = struct.pack("<QBQQ", VERSION, TYPE_CODES[self._dtype], len(lengths), len(lengths) + 1)
        file.write(MAGIC + header + lengths.tobytes())
        file.write(np.concatenate([np.zeros(1, np.int64), ends])[:-1].tobytes())
        file.write(np.arange(len(lengths) + 1, dtype=np.int64).tobytes())


@contextmanager
def write_pair(prefix: Path, dtype: np.dtype | type) -> Iterator[PairWriter]:
    """Write `prefix`.bin and `prefix`.idx, which get their names when the block ends without an exception."""
    with atomic_file(Path(f"{prefix}.bin")) as tokens_file:
        writer = PairWriter(tokens_file, dtype)
        yield writer
    with atomic_file(Path(f"{prefix}.idx")) as index_file:
        writer.write_index(index_file)
