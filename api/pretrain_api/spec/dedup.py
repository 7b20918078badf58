"""`spec.data.dedup`: which repetitions are removed, and what stays in their place."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from pretrain_api.spec.base import Boolean, NonNegativeInteger, PositiveInteger, SpecModel, Text


class NearDeduplication(SpecModel):
    """Near-duplicates by MinHash and locality-sensitive hashing (Broder 1997; Lee et al. 2022), or by SimHash (Charikar
    2002; Manku et al. 2007)."""

    method: Literal["minhash", "simhash"] = "minhash"
    """Kind of sketch."""
    unit: Literal["word", "character"] = "word"
    """What an n-gram is made of."""
    ngram: Annotated[PositiveInteger, Field(le=100)] = 5
    """Length of an n-gram in words or characters."""
    permutations: Annotated[PositiveInteger, Field(ge=2, le=1024)] = 128
    """Number of permutations: length of a MinHash signature."""
    threshold: Annotated[float, Field(strict=True, gt=0, lt=1)] = 0.8
    """Jaccard similarity from which two documents count as duplicates; bands and rows follow from it as datasketch
    chooses them."""
    scheme: Literal["affine32", "legacy"] = "affine32"
    """How the permutations are made: as datasketch does since 2.0, or did before."""
    seed: Annotated[NonNegativeInteger, Field(le=2**32 - 1)] = 1
    """Seed of the permutations, as in datasketch."""
    verify: Boolean = False
    """Compare the n-grams of documents that share a band, and take for duplicates only those whose Jaccard similarity
    reaches the threshold. Takes 4 bytes of storage an n-gram."""
    max_distance: Annotated[NonNegativeInteger, Field(le=7)] = 3
    """Most bits that the 64-bit SimHashes of near-duplicates differ in (Manku et al. 2007: 3)."""


class Passages(SpecModel):
    """Lines or paragraphs that occurred before, cut out of the documents (Wenzek et al. 2020, section 3.1). The first
    document that has one, by the order of the sources and where it comes from, keeps it."""

    unit: Literal["line", "paragraph"] = "paragraph"
    """What is compared: lines, or what is between empty lines."""
    min_characters: NonNegativeInteger = 20
    """Shorter ones stay, such as closing brackets and headings."""


class Substring(SpecModel):
    """Stretches of words that occurred before, wherever they begin, cut out of the documents (Lee et al. 2022, section
    4.1). The first document that has one, by the order of the sources and where it comes from, keeps it."""

    min_words: Annotated[PositiveInteger, Field(ge=10, le=1000)] = 50
    """Least length in words, whatever their case and what is between them (Lee et al. 2022: 50 tokens). Takes 20 bytes
    of storage a word until the text is tokenized."""


class SemanticDeduplication(SpecModel):
    """Documents that say the same in other words, as SemDeDup has it (Abbas et al. 2023)."""

    model: Text = Field(examples=["/models/potion-base-8M"])
    """Directory of a static embedding model, as of model2vec or sentence-transformers' StaticEmbedding: tokenizer.json
    and model.safetensors. Nothing is downloaded."""
    threshold: Annotated[float, Field(strict=True, gt=0, lt=1)] = 0.95
    """Least cosine of two documents' embeddings from which they count as duplicates."""
    clusters: Annotated[PositiveInteger, Field(le=65536)] | None = None
    """Number of clusters; default: the square root of the number of documents."""


class Dedup(SpecModel):
    """Removal of duplicates within and across sources. `near: null` leaves near-duplicates in."""

    exact: Literal["document", "none"] = "document"
    """Exact duplicates: equal normalised text."""
    near: NearDeduplication | None = NearDeduplication()
    """Near-duplicates; null: none are looked for."""
    semantic: SemanticDeduplication | None = None
    """Documents of nearly the same meaning."""
    passages: Passages | None = None
    """Repeated lines or paragraphs of what is left of documents."""
    substring: Substring | None = None
    """Repeated stretches of words of what is left of documents."""
    scope: Literal["across", "within"] = "across"
    """Where duplicates are looked for: in all sources together, or within each source."""
    keep: Literal["longest", "quality", "source-priority"] = "longest"
    """Which document of a cluster survives: the longest, the one with the best score of clean.quality, or the one whose
    source is listed first."""
