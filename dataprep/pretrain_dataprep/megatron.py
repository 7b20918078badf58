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
from typing import IO, NamedTuple

import numpy as np

from pretrain_dataprep.errors import InputError
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
_HEADER = struct.Struct("<9sQBQQ")


class PairFacts(NamedTuple):
    """What the .idx file of a pair says, and is true of its .bin."""

    dtype: np.dtype
    sequences: int
    tokens: int


def read_facts(prefix: Path) -> PairFacts:
    """Read the index of the pair `prefix`.bin and `prefix`.idx; both are looked at by size only, but for the header.

    Raises:
        InputError: A file is missing or damaged, or its tokens aren't uint16 or int32.
    """
    index, tokens = Path(f"{prefix}.idx"), Path(f"{prefix}.bin")
    for path in (index, tokens):
        if not path.is_file():
            raise InputError(f"{path}: isn't there; a pair is a .bin file and the .idx file beside it: correct the uri")
    with index.open("rb") as file:
        header = file.read(_HEADER.size)
    if len(header) < _HEADER.size or header[:9] != MAGIC:
        raise InputError(f"{index}: not an index of Megatron's format; name a pair that preprocess_data.py wrote")
    _, version, code, sequences, boundaries = _HEADER.unpack(header)
    dtype = next((dtype for dtype, known in TYPE_CODES.items() if known == code), None)
    if version != VERSION or dtype not in (np.dtype(np.uint16), np.dtype(np.int32)):
        raise InputError(f"{index}: version {version}, type {code}: only version 1 with uint16 or int32 is read")
    size = tokens.stat().st_size
    least = _HEADER.size + 12 * sequences + 8 * boundaries
    if index.stat().st_size < least:
        raise InputError(f"{index}: {index.stat().st_size:,} bytes, {least:,} expected: it was cut; copy it again")
    lengths = np.memmap(index, np.int32, "r", _HEADER.size, (sequences,)) if sequences else np.empty(0, np.int32)
    if size != int(lengths.sum(dtype=np.int64)) * dtype.itemsize:
        raise InputError(f"{tokens}: {size:,} bytes aren't what {index.name} says; copy both files again")
    return PairFacts(dtype, sequences, size // dtype.itemsize)


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

    def add(self, tokens: np.ndarray | list[int], end: int | None = None) -> None:
        """Write a document, and after it the token `end`, where it is given."""
        length = len(tokens) + (end is not None)
        document = np.empty(length, self._dtype)
        document[: len(tokens)] = tokens
        if end is not None:
            document[-1] = end
        self._file.write(document.data)
        self._lengths.append(length)
        self.tokens += length

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
