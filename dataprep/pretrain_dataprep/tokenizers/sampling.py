"""The text a tokenizer is trained on: a sample of what survived, weighted by source, the same whatever the shards."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pretrain_api.spec.data import Data
from pretrain_dataprep.choice import fractions
from pretrain_dataprep.cleaned import CleanedCorpus, CleanedUnit
from pretrain_dataprep.cleaning.unit_layout import CHARACTERS
from pretrain_dataprep.context import StageContext
from pretrain_dataprep.surviving import content_hashes_by_row, kept_mask, read_surviving

MAX_SENTENCE_BYTES = 4096
MAX_PASSAGE_BYTES = 1 << 16


def sample_documents(context: StageContext, corpus: CleanedCorpus, sample_bytes: int) -> list[bytes]:
    """Return about `sample_bytes` of documents, ordered by their content's hash."""
    sizes = _kept_bytes(context, corpus)
    shares = source_shares(context.data, sizes)
    chosen: list[tuple[int, int, bytes]] = []
    for unit in corpus.units:
        size = sizes[unit.source.name]
        if size > 0 and shares[unit.source.name] > 0:
            chosen += _choose(context, unit, min(1.0, sample_bytes * shares[unit.source.name] / size))
    return [text for _, _, text in sorted(chosen)]


def source_shares(data: Data, sizes: dict[str, float]) -> dict[str, float]:
    """Return each source's share of the sample: by the sources' weights, or the curriculum's, or by size and epochs."""
    if any(source.weight is not None for source in data.sources):
        weights = {source.name: source.weight or 0.0 for source in data.sources}
    elif data.curriculum:
        weights = {name: sum(phase.weights.get(name, 0.0) for phase in data.curriculum) for name in sizes}
    else:
        weights = {source.name: sizes[source.name] * (source.epochs or 1.0) for source in data.sources}
    total = sum(weights.values())
    return {name: weight / total if total else 0.0 for name, weight in weights.items()}


def _kept_bytes(context: StageContext, corpus: CleanedCorpus) -> dict[str, float]:
    """Estimate the surviving bytes of each source from the characters; sums over shards, so they don't matter."""
    totals = {source.name: [0, 0, 0] for source in context.data.sources}
    for unit in corpus.units:
        characters = unit.array(CHARACTERS).astype(np.int64)
        sums = totals[unit.source.name]
        sums[0] += int(characters[kept_mask(context, unit)].sum())
        sums[1] += int(characters.sum())
        sums[2] += unit.manifest.counts["bytesOut"]
    return {name: kept * size / all_ if all_ else 0.0 for name, (kept, all_, size) in totals.items()}


def _choose(context: StageContext, unit: CleanedUnit, fraction: float) -> Iterator[tuple[int, int, bytes]]:
    hashes = content_hashes_by_row(unit)
    wanted = kept_mask(context, unit) & (fractions(hashes, context.seed, "tokenizer-sample") < fraction)
    for group in read_surviving(context, unit):
        for place in np.flatnonzero(wanted[group.first_row : group.first_row + len(group.texts)]):
            row = group.first_row + int(place)
            text = group.texts[int(place)].as_buffer().to_pybytes()
            context.progress.add(1, 1, len(text))
            yield int(hashes[row, 0]), int(hashes[row, 1]), text


def sentences(documents: list[bytes]) -> Iterator[bytes]:
    """Yield the lines of the documents; longer ones are cut at spaces, or between characters."""
    for document in documents:
        for line in document.split(b"\n"):
            yield from _cut(line, b" ", MAX_SENTENCE_BYTES)


def passages(documents: list[bytes]) -> Iterator[bytes]:
    """Yield the documents; longer ones are cut at line ends, or between characters."""
    for document in documents:
        yield from _cut(document, b"\n", MAX_PASSAGE_BYTES)


def _cut(text: bytes, separator: bytes, most: int) -> Iterator[bytes]:
    while len(text) > most:
        end = text.rfind(separator, most // 2, most)
        if end < 0:
            end = most
            while text[end] & 0xC0 == 0x80:
                end -= 1
        yield text[:end]
        text = text[end:]
    if text.strip():
        yield text
