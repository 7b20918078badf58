"""What a source is to the rest of the preparation.

A source lists **chunks**: pieces that are read on their own, in a stable order. Reading a chunk yields records: a
`Document`, or a `BadRecord` where the input can't be read. Chunks are dealt to shards by their place in the list, so
the number of workers never matters.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a source: a whole file, or the lines that start in a byte range of a file."""

    path: str
    """Path or URL to open and to show to people."""
    relative_path: str
    """Path below the source's root: the part of a document's identity that doesn't depend on where the corpus lies."""
    start: int
    end: int
    """Byte range [start, end) of the file as stored; [0, size) for a whole file."""
    size: int
    """Size of the whole file in bytes; may be an estimate for a file that exists in a program only."""

    @property
    def label(self) -> str:
        """Name in manifests and logs: the path, with the byte range where it isn't the whole file."""
        return self.path if self.end - self.start == self.size else f"{self.path}[{self.start}:{self.end}]"


class Document(NamedTuple):
    """A document as read."""

    text: str
    path: str
    relative_path: str
    position: int
    """Where it is in the file: uncompressed byte offset of its line (JSON lines), or its number from 0."""


class BadRecord(NamedTuple):
    """A record that can't be read."""

    path: str
    line: int
    """From 1; 0: the file as a whole."""
    cause: str
    raw: bytes
    """The first bytes of the record (4,096 at most)."""

    @property
    def location(self) -> str:
        """Return `path:line`, or `path` for a whole file."""
        return f"{self.path}:{self.line}" if self.line else self.path


Record = Document | BadRecord


class Source(Protocol):
    """A set of documents that can be read in chunks."""

    def chunks(self) -> list[Chunk]:
        """List the chunks, sorted. Raises InputError where there is nothing to read."""
        ...

    def read(self, chunk: Chunk) -> Iterator[Record]:
        """Yield the records of a chunk in order. Raises InputError where the file as a whole can't be read."""
        ...

    def fingerprint(self, chunk: Chunk) -> str:
        """Return a hash of the chunk's content (xxh3-128, hexadecimal) for the manifest."""
        ...
