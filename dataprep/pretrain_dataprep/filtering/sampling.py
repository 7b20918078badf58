"""Samples of the job's sources, as the rules of the clean stage leave them."""

from __future__ import annotations

from collections.abc import Iterator

from pretrain_dataprep.cleaning.sieve import Sieve
from pretrain_dataprep.context import StageContext
from pretrain_dataprep.filtering.texts import beginnings, described, sampled_chunks, tidied
from pretrain_dataprep.manifests import Input
from pretrain_dataprep.sources.interface import Document
from pretrain_dataprep.sources.opening import open_source
from pretrain_dataprep.text.filters import filters_for

_DOCUMENTS_AT_A_TIME = 1024


def sampled_inputs(context: StageContext, most_bytes: int) -> Iterator[Input]:
    """Yield the ranges of the sources that are looked at, for a recipe."""
    for spec in context.data.sources:
        source = open_source(spec)
        yield from described(source, sampled_chunks(source, most_bytes))


def sieved_sample(context: StageContext, most_bytes: int) -> Iterator[Sieve]:
    """Yield what the rules leave of at most about `most_bytes` of each source. The job's shards don't matter."""
    clean = context.data.clean
    for spec in context.data.sources:
        source = open_source(spec, extractor=context.data.extract.extractor)
        filters = filters_for(clean, spec.language)
        for documents in _batches(beginnings(source, sampled_chunks(source, most_bytes), most_bytes)):
            sieve = Sieve(tidied(documents, clean.normalize))
            sieve.filter(filters)
            context.progress.add(len(documents), len(documents), sum(len(item.text) for item in documents))
            yield sieve


def _batches(documents: Iterator[Document]) -> Iterator[list[Document]]:
    batch: list[Document] = []
    for document in documents:
        batch.append(document)
        if len(batch) == _DOCUMENTS_AT_A_TIME:
            yield batch
            batch = []
    if batch:
        yield batch
