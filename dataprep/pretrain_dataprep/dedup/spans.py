"""Passages and windows of words of documents, with keys by which repetitions are found.

A **passage** is a line, or what is between empty lines; passages are equal if they are so without the blanks around
them. A **window** is n consecutive words (`text.words`); windows are equal if their words are, whatever their case and
what is between them. Every repeated stretch of n words and more is a union of repeated windows, so cutting those out
cuts out what a suffix array finds, and is a shuffle over key ranges. Different spans have equal keys with a probability
of 2⁻⁶⁴ a pair: of ten billion different lines two or three are lost.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np

from pretrain_api.spec.dedup import Dedup
from pretrain_dataprep.dedup.layout import PASSAGES, WINDOWS
from pretrain_dataprep.dedup.shingles import Scratch
from pretrain_dataprep.kernels.passages import write_passages, write_windows
from pretrain_dataprep.text.batch import TextBatch

SPAN = np.dtype([("row", "<u4"), ("start", "<u4"), ("end", "<u4")])
"""Bytes [start, end) of a document."""


class KeyedSpans(NamedTuple):
    """Spans of the documents of a batch, in their order."""

    keys: np.ndarray
    """uint64, shape (spans,)."""
    spans: np.ndarray
    """SPAN, shape (spans,)."""


class SpanFinder(Protocol):
    """Cuts documents into spans."""

    def find(self, batch: TextBatch) -> KeyedSpans:
        """Return the spans of a batch's documents."""
        ...


def span_finders(dedup: Dedup) -> dict[str, SpanFinder]:
    """Return what a job's documents are cut into, by kind."""
    finders: dict[str, SpanFinder] = {}
    if dedup.passages is not None:
        finders[PASSAGES] = PassageFinder(dedup.passages.unit, dedup.passages.min_characters)
    if dedup.substring is not None:
        finders[WINDOWS] = WindowFinder(dedup.substring.min_words)
    return finders


class PassageFinder:
    """Lines or paragraphs."""

    def __init__(self, unit: str, min_characters: int) -> None:
        self._newlines = 1 if unit == "line" else 2
        self._min_characters = min_characters

    def find(self, batch: TextBatch) -> KeyedSpans:
        """Return the passages of a batch's documents."""
        room = len(batch.text) // 2 + len(batch) + 1
        keys, parts = np.empty(room, np.uint64), [np.empty(room, np.uint32) for _ in range(3)]
        count = write_passages(batch.text, batch.offsets, self._newlines, self._min_characters, keys, *parts)
        return KeyedSpans(keys[:count], as_spans(*(part[:count] for part in parts)))


class WindowFinder:
    """All windows of some words."""

    def __init__(self, words: int) -> None:
        self._words = words

    def find(self, batch: TextBatch) -> KeyedSpans:
        """Return the windows of a batch's documents."""
        room = len(batch.text) + 1
        keys, parts = np.empty(room, np.uint64), [np.empty(room, np.uint32) for _ in range(3)]
        scratch = Scratch.of(batch)
        places = [np.empty(len(scratch.units), np.int64) for _ in range(2)]
        count = write_windows(batch.text, batch.offsets, self._words, *scratch, *places, keys, *parts)
        return KeyedSpans(keys[:count], as_spans(*(part[:count] for part in parts)))


def as_spans(rows: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Join three arrays: SPAN, shape (spans,)."""
    spans = np.empty(len(rows), SPAN)
    spans["row"], spans["start"], spans["end"] = rows, starts, ends
    return spans
