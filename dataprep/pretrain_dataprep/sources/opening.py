"""From a source of the job to something that can be read, and which chunks belong to which shard."""

from __future__ import annotations

from pretrain_api.spec.data import Source as SourceSpec
from pretrain_dataprep.sources.files import FileSource
from pretrain_dataprep.sources.interface import Chunk, Source
from pretrain_dataprep.sources.sharing import unevenness


def open_source(spec: SourceSpec, shards: int = 1, extractor: str = "selectolax") -> Source:
    """Return the source that a job's entry describes, cut so that `shards` can share it."""
    if spec.uri.startswith("sample://"):
        from pretrain_dataprep.sources.sample import SampleSource

        return SampleSource(spec.uri)
    return FileSource(spec, shards, extractor)


def uneven_chunks(chunks: list[Chunk], shards: int) -> str | None:
    """Return what to do about chunks that shards can't share; None: they can."""
    sizes = [sum(chunk.end - chunk.start for chunk in chunks[shard::shards]) for shard in range(shards)]
    largest = max(chunks, key=lambda chunk: chunk.end - chunk.start)
    return unevenness(sizes, largest.label, largest.end - largest.start)


def chunks_of_shard(chunks: list[Chunk], shard: int, shards: int) -> list[Chunk]:
    """Return every `shards`-th chunk: a pure function of the listing, so the number of workers never matters."""
    return chunks[shard::shards]
