"""Text that filter models are made from: read like sources, chosen by a hash of the text, in bounded memory."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator

import xxhash

from pretrain_api.names import Reason
from pretrain_api.spec.data import Normalize
from pretrain_api.spec.data import Source as SourceSpec
from pretrain_dataprep.context import StageContext
from pretrain_dataprep.errors import InputError
from pretrain_dataprep.manifests import Input
from pretrain_dataprep.sources.interface import BadRecord, Chunk, Document, Source
from pretrain_dataprep.sources.opening import open_source
from pretrain_dataprep.text.batch import TextBatch
from pretrain_dataprep.text.tidy import normalize_unicode, tidy

LEAST_CHUNKS, MOST_CHUNKS = 16, 1000
"""Ranges of files that a sample of a source is taken from."""


class Sample:
    """The texts with the least hashes, as many as fit into so many bytes: the same whatever their order."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._size = 0
        self._kept: list[tuple[int, bytes]] = []
        """A heap, the greatest hash first."""
        self._limit: int | None = None
        """Least hash of a text that didn't fit: none from there on does."""

    def add(self, text: bytes) -> None:
        """Offer a text."""
        digest = xxhash.xxh3_128_intdigest(text)
        if self._limit is not None and digest >= self._limit:
            return
        heapq.heappush(self._kept, (-digest, text))
        self._size += len(text)
        # One text stays, however long it is.
        while self._size > self._most_bytes and len(self._kept) > 1:
            negative, removed = heapq.heappop(self._kept)
            self._limit = -negative
            self._size -= len(removed)

    def texts(self) -> list[bytes]:
        """Return the texts, in the order of their hashes."""
        return [text for _, text in sorted(self._kept, reverse=True)]


def inputs_at(addresses: Iterable[str]) -> list[Input]:
    """Return what is at addresses of texts, for a recipe. Raises InputError for one that can't be read."""
    sources = [_source(address) for address in addresses]
    return [entry for source in sources for entry in described(source, source.chunks())]


def described(source: Source, chunks: list[Chunk]) -> list[Input]:
    """Return ranges of a source for a recipe."""
    return [Input(chunk.label, chunk.end - chunk.start, source.fingerprint(chunk)) for chunk in chunks]


def sample_texts(context: StageContext, addresses: Iterable[str], most_bytes: int, normalize: Normalize) -> list[bytes]:
    """Return tidied texts of all that is at `addresses`. Raises InputError if there are none."""
    sample = Sample(most_bytes)
    for address in addresses:
        source = _source(address, context.data.extract.extractor)
        for chunk in source.chunks():
            for document in _documents(source, chunk):
                text = tidied([document], normalize).document(0)
                if text:
                    sample.add(text)
                context.progress.add(1, 1, len(text))
    texts = sample.texts()
    if not texts:
        raise InputError(f"{', '.join(addresses)}: no document to train on; check the uri", Reason.EMPTY_CORPUS)
    return texts


def sampled_chunks(source: Source, most_bytes: int) -> list[Chunk]:
    """Return the ranges of a source that a sample is taken from, chosen by a hash: the job's shards don't matter.

    Many of small files, few of large ones: together they have some times `most_bytes`, if the source has.
    """
    chosen: list[Chunk] = []
    size = 0
    for chunk in sorted(source.chunks(), key=_place):
        if len(chosen) == MOST_CHUNKS or (len(chosen) >= LEAST_CHUNKS and size >= 4 * most_bytes):
            break
        chosen.append(chunk)
        size += chunk.end - chunk.start
    return chosen


def _place(chunk: Chunk) -> int:
    return xxhash.xxh3_64_intdigest(f"{chunk.relative_path}\0{chunk.start}".encode())


def beginnings(source: Source, chunks: list[Chunk], most_bytes: int) -> Iterator[Document]:
    """Yield the first documents of each range, in all at most about `most_bytes` of text."""
    for chunk in chunks:
        left = most_bytes // len(chunks)
        for document in _documents(source, chunk):
            yield document
            left -= len(document.text.encode())
            if left <= 0:
                break


def tidied(documents: list[Document], normalize: Normalize) -> TextBatch:
    """Return documents in the form in which filters see them."""
    return tidy(TextBatch.of(normalize_unicode(document.text, normalize).encode() for document in documents))


def _source(address: str, extractor: str = "selectolax") -> Source:
    return open_source(SourceSpec(name="text", uri=address), extractor=extractor)


def _documents(source: Source, chunk: Chunk) -> Iterator[Document]:
    return (record for record in source.read(chunk) if not isinstance(record, BadRecord))
