"""Reading Megatron-LM's .bin/.idx pairs through memory maps.

The .idx is: 9 bytes of magic, version (uint64), dtype code (uint8), number of sequences (uint64), number of document
boundaries (uint64), sequence lengths (int32), byte offsets (int64), document boundaries (int64). The .bin is the
tokens.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pretrain_trainer.errors import InvalidData

MAGIC = b"MMIDIDX\x00\x00"
VERSION = 1
DTYPES: dict[int, type[np.generic]] = {4: np.int32, 8: np.uint16}
"""Token types by the code in the file; Megatron-LM knows more, which no tokenizer of today needs."""
_HEADER = struct.Struct("<9sQBQQ")


class TokenFile:
    """The tokens of one pair, in the order of its documents.

    Everything is mapped, so that opening takes neither time nor memory by the size of the corpus.

    Attributes:
        tokens: Memory map of the .bin, uint16 or int32.
        document_lengths: Memory map of the .idx: int32, tokens of each document.
        byte_offsets: Memory map of the .idx: int64, where each document begins in the .bin.
    """

    def __init__(self, prefix: Path) -> None:
        """Map the pair `prefix`.bin and `prefix`.idx.

        Raises:
            InvalidData: A file is missing, truncated or of another format.
        """
        self.prefix = prefix
        index_path, token_path = prefix.with_name(prefix.name + ".idx"), prefix.with_name(prefix.name + ".bin")
        dtype, self.document_lengths, self.byte_offsets = _read_index(index_path)
        self.tokens = _map_tokens(token_path, dtype)
        expected = 0
        if self.document_lengths.size:
            expected = int(self.byte_offsets[-1]) // self.tokens.itemsize + int(self.document_lengths[-1])
        if self.tokens.size != expected:
            raise InvalidData(
                f"{token_path}: has {self.tokens.size} tokens, its index says {expected}; "
                "the pair is damaged: prepare the data again"
            )

    def document_of(self, position: int) -> tuple[int, int]:
        """Return where the document of the token at `position` begins and ends."""
        document = bisect_right(self.byte_offsets, position * self.tokens.itemsize) - 1
        start = int(self.byte_offsets[document]) // self.tokens.itemsize
        return start, start + int(self.document_lengths[document])


def _read_index(path: Path) -> tuple[type[np.generic], NDArray[np.int32], NDArray[np.int64]]:
    try:
        with path.open("rb") as file:
            header = file.read(_HEADER.size)
            if len(header) < _HEADER.size:
                raise InvalidData(f"{path}: is only {len(header)} bytes long; prepare the data again")
            magic, version, code, num_sequences, _ = _HEADER.unpack(header)
            if magic != MAGIC or version != VERSION or code not in DTYPES:
                raise InvalidData(
                    f"{path}: is no Megatron-LM index of version {VERSION} with uint16 or int32 tokens; "
                    "name a pair that `pretrain` or Megatron-LM's preprocess_data.py wrote"
                )
    except FileNotFoundError:
        raise InvalidData(f"{path}: does not exist; prepare the data again or correct the path") from None
    size, expected = path.stat().st_size, _HEADER.size + num_sequences * (4 + 8)
    if size < expected:
        raise InvalidData(
            f"{path}: has {size} bytes, {num_sequences} documents take at least {expected}; prepare the data again"
        )
    if num_sequences == 0:
        return DTYPES[code], np.empty(0, dtype=np.int32), np.empty(0, dtype=np.int64)
    lengths = np.memmap(path, dtype=np.int32, mode="r", offset=_HEADER.size, shape=(num_sequences,))
    begin = _HEADER.size + 4 * num_sequences
    offsets = np.memmap(path, dtype=np.int64, mode="r", offset=begin, shape=(num_sequences,))
    return DTYPES[code], lengths.view(np.ndarray), offsets.view(np.ndarray)


def _map_tokens(path: Path, dtype: type[np.generic]) -> NDArray[np.generic]:
    try:
        if path.stat().st_size == 0:  # an empty file can't be mapped
            return np.empty(0, dtype=dtype)
        return np.memmap(path, dtype=dtype, mode="r").view(np.ndarray)
    except FileNotFoundError:
        raise InvalidData(f"{path}: does not exist; prepare the data again or correct the path") from None
    except ValueError:
        raise InvalidData(f"{path}: is no whole number of tokens long; prepare the data again") from None
