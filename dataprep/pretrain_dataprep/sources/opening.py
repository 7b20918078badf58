"""From a source of the job to something that can be read, and which chunks belong to which shard."""

from __future__ import annotations

from pretrain_api.spec.data import Source as SourceSpec
from pretrain_dataprep.sources.files import FileSource
from pretrain_dataprep.sources.interface import Chunk, Source


def open_source(spec: SourceSpec) -> Source:
    """Return the source that a job's entry describes."""
    if spec.uri.startswith("sample://"):
        from pretrain_dataprep.sources.sample import SampleSource

        return SampleSource(spec.uri)
    return FileSource(spec)


def chunks_of_shard(chunks: list[Chunk], shard: int, shards: int) -> list[Chunk]:
    """Return every `shards`-th chunk: a pure function of the listing, so the number of workers never matters."""
    return chunks[shard::shards]
