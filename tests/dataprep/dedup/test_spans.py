"""Repeated passages and stretches of words: what is cut is what a naive search finds, and the first one stays."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pretrain_dataprep.dedup.cuts import _merged
from pretrain_dataprep.dedup.repetitions import repeated_spans, superfluous
from pretrain_dataprep.dedup.spans import PassageFinder, SpanFinder, WindowFinder, as_spans
from pretrain_dataprep.kernels.passages import write_without
from pretrain_dataprep.text.batch import TextBatch
from pretrain_dataprep.text.cuts import without

Spans = list[tuple[bytes | tuple[bytes, ...], int, int]]


@dataclass
class Unit:
    """A cleaned unit in memory, its spans in runs of a few documents."""

    first_id: int
    texts: list[bytes]
    ids: list[int]
    source: Any = field(default_factory=lambda: SimpleNamespace(name="web"))

    def find(self, finder: SpanFinder) -> dict[str, np.ndarray]:
        keys, spans, ends = [np.empty(0, np.uint64)], [as_spans(*np.empty((3, 0), np.uint32))], []
        for first in range(0, len(self.texts), 2):
            some, places = finder.find(TextBatch.of(self.texts[first : first + 2]))
            places["row"] += np.uint32(first)
            order = np.argsort(some, kind="stable")
            keys.append(some[order])
            spans.append(places[order])
            ends.append(sum(map(len, keys)))
        return {
            "x-keys.npy": np.concatenate(keys),
            "x-spans.npy": np.concatenate(spans),
            "x-runs.npy": np.array(ends, np.int64),
            "ids.npy": np.array(self.ids, np.uint64),
        }

    def array(self, name: str) -> np.ndarray:
        return self.arrays[name]

    arrays: dict[str, np.ndarray] = field(default_factory=dict)


def cut(texts: list[bytes], finder: SpanFinder, shards: int, removed: set[int]) -> list[bytes]:
    """Return the documents as the stages leave them; document i has identity i, units are interleaved."""
    units, numbers = [], []
    for shard in range(shards):
        ids = list(range(shard, len(texts), shards))
        unit = Unit(len(numbers), [texts[number] for number in ids], ids)
        unit.arrays = unit.find(finder)
        units.append(unit)
        numbers += ids
    is_removed = np.array([number in removed for number in numbers], bool)
    gone: list[list[tuple[int, int]]] = [[] for _ in texts]
    for low, high in ((0, 1 << 63), (1 << 63, 1 << 64)):
        for repeated in repeated_spans(units, "x", low, high):  # type: ignore[arg-type]
            for _, start, end, global_id in _rows(superfluous(repeated, is_removed[repeated["id"]])):
                gone[numbers[global_id]].append((start, end))
    return [without(text, spans) for text, spans in zip(texts, gone, strict=True)]


def _rows(spans: np.ndarray) -> list[tuple[int, int, int, int]]:
    return [(0, int(span["start"]), int(span["end"]), int(span["id"])) for span in spans]


def cut_naively(texts: list[bytes], spans_of: Callable[[bytes], Spans], removed: set[int]) -> list[bytes]:
    seen = set()
    left = []
    for number, text in enumerate(texts):
        gone = []
        for key, start, end in spans_of(text) if number not in removed else ():
            if key in seen:
                gone.append((start, end))
            seen.add(key)
        left.append(without(text, gone))
    return left


def windows(words: int) -> Callable[[bytes], Spans]:
    def spans_of(text: bytes) -> Spans:
        found = list(re.finditer(rb"[a-z]+", text))
        return [
            (
                tuple(match[0] for match in found[first : first + words]),
                found[first].start(),
                found[first + words - 1].end(),
            )
            for first in range(len(found) - words + 1)
        ]

    return spans_of


def lines(text: bytes) -> Spans:
    return [
        (match[0].strip(), match.start(), match.end())
        for match in re.finditer(rb"[^\n]+\n*|\n+", text)
        if len(match[0].strip()) >= 2
    ]


def paragraphs(text: bytes) -> Spans:
    found, start = [], 0
    for piece in re.finditer(rb"\n\n+", text + b"\n\n"):
        end = min(piece.end(), len(text))
        if len(text[start:end].strip()) >= 2:
            found.append((text[start:end].strip(), start, end))
        start = end
    return found


WORDS = st.lists(st.sampled_from(["a", "b", "c", "dd"]), max_size=25).map(lambda words: " ".join(words).encode())
LINES = st.lists(st.sampled_from(["aa", "b", " aa", "cc dd", "", "ee"]), max_size=12).map(
    lambda lines: "\n".join(lines).strip("\n").encode()
)


@settings(deadline=None)
@given(st.lists(WORDS, max_size=6), st.integers(1, 3), st.sets(st.integers(0, 5), max_size=2))
def test_windows(texts: list[bytes], shards: int, removed: set[int]) -> None:
    assert cut(texts, WindowFinder(3), shards, removed) == cut_naively(texts, windows(3), removed)


@settings(deadline=None)
@given(st.lists(LINES, max_size=6), st.integers(1, 3), st.sets(st.integers(0, 5), max_size=2))
def test_lines(texts: list[bytes], shards: int, removed: set[int]) -> None:
    assert cut(texts, PassageFinder("line", 2), shards, removed) == cut_naively(texts, lines, removed)


@settings(deadline=None)
@given(st.lists(LINES, max_size=6), st.integers(1, 3), st.sets(st.integers(0, 5), max_size=2))
def test_paragraphs(texts: list[bytes], shards: int, removed: set[int]) -> None:
    assert cut(texts, PassageFinder("paragraph", 2), shards, removed) == cut_naively(texts, paragraphs, removed)


@settings(deadline=None)
@given(st.lists(WORDS, max_size=6))
def test_no_word_is_lost(texts: list[bytes]) -> None:
    """Also where stretches overlap themselves, such as a word said again and again: what is cut is elsewhere."""
    left = cut(texts, WindowFinder(3), 2, set())
    assert {word for text in left for word in text.split()} == {word for text in texts for word in text.split()}


@settings(deadline=None)
@given(
    texts=st.lists(st.text(alphabet="ab \n", min_size=1, max_size=12).map(str.encode), min_size=1, max_size=5),
    data=st.data(),
)
def test_cutting_a_batch(texts: list[bytes], data: st.DataObject) -> None:
    gone: list[list[tuple[int, int]]] = []
    for text in texts:
        ends = st.integers(0, len(text))
        gone.append(data.draw(st.lists(st.tuples(ends, ends).filter(lambda pair: pair[0] < pair[1]), max_size=3)))
    flat = [(row, start, end) for row, spans in enumerate(gone) for start, end in spans]
    sizes = np.array([1000 + len(text) for text in texts], np.uint32)
    spans = _merged(as_spans(*np.array(flat, np.uint32).reshape(-1, 3).T), sizes).spans
    batch = TextBatch.of(texts)
    out, offsets = np.empty(len(batch.text), np.uint8), np.empty(len(batch) + 1, np.int64)
    parts = (np.ascontiguousarray(spans[name]) for name in ("row", "start", "end"))
    write_without(batch.text, batch.offsets, *parts, out, offsets)
    expected = [without(text, spans) if spans else text for text, spans in zip(texts, gone, strict=True)]
    assert list(TextBatch(out[: offsets[-1]], offsets).documents()) == expected


def test_documents_of_which_too_little_is_left_go() -> None:
    spans = as_spans(
        np.array([0, 1, 1], np.uint32), np.array([0, 0, 50], np.uint32), np.array([101, 50, 90], np.uint32)
    )
    found = _merged(spans, np.array([200, 200, 50], np.uint32))
    assert found.emptied.tolist() == [0]
    assert found.spans.tolist() == [(1, 0, 90)]
    assert found.bytes == 90


@pytest.mark.parametrize("text", ["Ünï–’s x'y 中文 a_1\n\nB", ""])
def test_places_are_bytes_of_the_document(text: str) -> None:
    document = text.encode()
    _, spans = WindowFinder(1).find(TextBatch.of([b"first one ", document]))
    words = [document[span["start"] : span["end"]].decode() for span in spans if span["row"] == 1]
    assert words == (["Ünï", "s", "x'y", "中", "文", "a_1", "B"] if text else [])
