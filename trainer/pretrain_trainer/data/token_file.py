"""Reading Megatron-LM's .bin/.idx pairs through memory maps.

The .idx is: 9 bytes of magic, version (uint64), dtype code (uint8), number of sequences (uint64), number of document
boundaries (uint64), sequence lengths (int32), byte offsets (int64), document boundaries (int64). The .bin is the
tokens.
"""

from __future__ import annotations

import struct
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

    Attributes:
        tokens: Memory map of the .bin, uint16 or int32.
        document_lengths: int32, tokens of each document.
    """

    def __init__(self, prefix: Path) -> None:
        """Map the pair `prefix`.bin and `prefix`.idx.

        Raises:
            InvalidData: A file is missing, truncated or of another format.
        """
        self.prefix = prefix
        index_path, token_path = prefix.with_name(prefix.name + ".idx"), prefix.with_name(prefix.name + ".bin")
        dtype, self.document_lengths = _read_index(index_path)
        self.tokens = _map_tokens(token_path, dtype)
        expected = int(self.document_lengths.sum(dtype=np.int64))
        if self.tokens.size != expected:
            raise InvalidData(
                f"{token_path}: has {self.tokens.size} tokens, its index says {expected}; "
                "the pair is damaged: prepare the data again"
            )


def _read_index(path: Path) -> tuple[type[np.generic], NDArray[np.int32]]:
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
            lengths = np.fromfile(file, dtype=np.int32, count=num_sequences)
    except FileNotFoundError:
        raise InvalidData(f"{path}: does not exist; prepare the data again or correct the path") from None
    if lengths.size != num_sequences:
        raise InvalidData(f"{path}: ends after {lengths.size} of {num_sequences} lengths; prepare the data again")
    return DTYPES[code], lengths


def _map_tokens(path: Path, dtype: type[np.generic]) -> NDArray[np.generic]:
    try:
        if path.stat().st_size == 0:  # an empty file can't be mapped
            return np.empty(0, dtype=dtype)
        return np.memmap(path, dtype=dtype, mode="r")
    except FileNotFoundError:
        raise InvalidData(f"{path}: does not exist; prepare the data again or correct the path") from None
    except ValueError:
        raise InvalidData(f"{path}: is no whole number of tokens long; prepare the data again") from None
