"""Documented mixtures of well-known models: share of the training tokens and passes over each source."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from pretrain_api.spec.data import Data, Mixture


class Part(NamedTuple):
    """A source of a mixture."""

    weight: float
    """Share of the training tokens, in per cent."""
    epochs: float
    """Passes over the source in the documented training."""


MIXTURES: Mapping[str, Mapping[str, Part]] = {
    # The table that is usually quoted, rounded; that of Touvron et al. 2023, table 1, is llama-paper.
    "llama": {
        "commoncrawl": Part(67.0, 1.0),
        "c4": Part(15.0, 1.0),
        "github": Part(4.5, 1.0),
        "wikipedia": Part(4.5, 2.0),
        "books": Part(4.5, 2.0),
        "arxiv": Part(2.5, 1.5),
        "stackexchange": Part(2.0, 1.0),
    },
    "llama-paper": {
        "commoncrawl": Part(67.0, 1.10),
        "c4": Part(15.0, 1.06),
        "github": Part(4.5, 0.64),
        "wikipedia": Part(4.5, 2.45),
        "books": Part(4.5, 2.23),
        "arxiv": Part(2.5, 1.06),
        "stackexchange": Part(2.0, 1.03),
    },
    # Brown et al. 2020, table 2.2: 300 B tokens; the shares are rounded there, and add up to 101 %.
    "gpt-3": {
        "commoncrawl": Part(60.0, 0.44),
        "webtext2": Part(22.0, 2.9),
        "books1": Part(8.0, 1.9),
        "books2": Part(8.0, 0.43),
        "wikipedia": Part(3.0, 3.4),
    },
    # Rae et al. 2021, table 2; passes are 300 B tokens times the share, divided by the tokens of the table.
    "gopher": {
        "massiveweb": Part(48.0, 0.28),
        "books": Part(27.0, 0.14),
        "c4": Part(10.0, 0.16),
        "news": Part(10.0, 0.04),
        "github": Part(3.0, 0.02),
        "wikipedia": Part(2.0, 1.5),
    },
    # Gao et al. 2020, table 1.
    "the-pile": {
        "pile-cc": Part(18.11, 1.0),
        "pubmed-central": Part(14.40, 2.0),
        "books3": Part(12.07, 1.5),
        "openwebtext2": Part(10.01, 2.0),
        "arxiv": Part(8.96, 2.0),
        "github": Part(7.59, 1.0),
        "freelaw": Part(6.12, 1.5),
        "stackexchange": Part(5.13, 2.0),
        "uspto": Part(3.65, 2.0),
        "pubmed-abstracts": Part(3.07, 2.0),
        "gutenberg": Part(2.17, 2.5),
        "opensubtitles": Part(1.55, 1.5),
        "wikipedia": Part(1.53, 3.0),
        "dm-mathematics": Part(1.24, 2.0),
        "ubuntu-irc": Part(0.88, 2.0),
        "bookcorpus2": Part(0.75, 1.5),
        "europarl": Part(0.73, 2.0),
        "hackernews": Part(0.62, 2.0),
        "youtubesubtitles": Part(0.60, 2.0),
        "philpapers": Part(0.38, 2.0),
        "nih-exporter": Part(0.30, 2.0),
        "enron": Part(0.14, 2.0),
    },
}


def parts_by_source(mixture: Mixture) -> dict[str, Part]:
    """Return the part of each source of the job, by its name: those that `sources` maps, else those of the mixture's
    own names."""
    parts = MIXTURES[mixture.preset]
    names = mixture.sources or {name: name for name in parts}
    return {source: parts[name] for name, source in names.items() if name in parts}


def with_mixture(data: Data) -> Data:
    """Return `data` with weights and epochs of its mixture at its sources; those that it gives itself stay."""
    if data.mixture is None:
        return data
    parts = parts_by_source(data.mixture)
    sources = tuple(
        source.model_copy(
            update={"weight": parts[source.name].weight, "epochs": source.epochs or parts[source.name].epochs}
        )
        if source.name in parts
        else source
        for source in data.sources
    )
    ready = tuple(
        source.model_copy(update={"weight": parts[source.name].weight}) if source.name in parts else source
        for source in data.tokenized
    )
    return data.model_copy(update={"sources": sources, "tokenized": ready})
