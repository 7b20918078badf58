"""A batch of documents: one buffer of UTF-8 bytes and where each document begins."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa


@dataclass(frozen=True, slots=True)
class TextBatch:
    """Documents one after the other: document i is `text[offsets[i]:offsets[i + 1]]`."""

    text: np.ndarray
    """uint8, shape (bytes,)"""
    offsets: np.ndarray
    """int64, shape (documents + 1,)"""

    @classmethod
    def of(cls, documents: Iterable[bytes]) -> TextBatch:
        """Join documents."""
        pieces = list(documents)
        offsets = np.zeros(len(pieces) + 1, np.int64)
        np.cumsum([len(piece) for piece in pieces], out=offsets[1:])
        return cls(np.frombuffer(b"".join(pieces), np.uint8), offsets)

    @classmethod
    def of_column(cls, texts: pa.Array) -> TextBatch:
        """Take documents from an Arrow column (large strings without nulls) without copying them."""
        _, offsets, text = texts.buffers()
        places = np.frombuffer(offsets, np.int64)[texts.offset : texts.offset + len(texts) + 1]
        content = np.frombuffer(text, np.uint8) if text is not None else np.empty(0, np.uint8)
        return cls(content[places[0] : places[-1]], places - places[0])

    def as_column(self) -> pa.Array:
        """Return the documents as an Arrow column (large strings) without copying them."""
        buffers = [None, pa.py_buffer(np.ascontiguousarray(self.offsets)), pa.py_buffer(self.text)]
        return pa.Array.from_buffers(pa.large_string(), len(self), buffers)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def document(self, index: int) -> bytes:
        """Return the bytes of one document."""
        return self.text[self.offsets[index] : self.offsets[index + 1]].tobytes()

    def documents(self) -> Iterator[bytes]:
        """Yield the bytes of each document."""
        return (self.document(index) for index in range(len(self)))

    def sizes(self) -> np.ndarray:
        """Return the bytes of each document: int64, shape (documents,)."""
        return np.diff(self.offsets)

    def select(self, mask: np.ndarray) -> TextBatch:
        """Return the documents where `mask` (bool, shape (documents,)) is set."""
        return self if mask.all() else TextBatch.of(self.document(int(index)) for index in np.flatnonzero(mask))
