"""The n-grams of evaluation sets, and whose they are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import orjson

from pretrain_api.names import Reason
from pretrain_api.spec.data import Normalize
from pretrain_api.spec.decontaminate import Decontaminate
from pretrain_dataprep.decontamination.ngrams import ngrams_of
from pretrain_dataprep.errors import InputError
from pretrain_dataprep.kernels.lookup import insert, look_up
from pretrain_dataprep.manifests import Input
from pretrain_dataprep.sources.decompress import open_uncompressed, uncompressed_name
from pretrain_dataprep.sources.storage import StoredFile, file_store, hash_range
from pretrain_dataprep.text.tidy import normalize_unicode

INPUT_PREFIX = "evaluation set "
"""In front of the path of an evaluation set among the inputs of a unit."""
_LINES = (".jsonl", ".ndjson", ".json")
_TEXTS = (".txt", ".text", ".md")


class Item(NamedTuple):
    """A question, or what else an evaluation set consists of."""

    location: str
    """`path:line`."""
    texts: list[str]


def inputs(against: tuple[str, ...]) -> list[Input]:
    """Return the files of evaluation sets as inputs of a unit. Raises InputError where there are none."""
    found = []
    for uri in against:
        store = file_store(uri)
        for file in _files(uri):
            fingerprint = hash_range(store, file.path, 0, file.size, to_line_end=False)
            found.append(Input(f"{INPUT_PREFIX}{file.path}", file.size, fingerprint))
    return found


def _files(uri: str) -> list[StoredFile]:
    try:
        return file_store(uri).list_files(uri)
    except InputError as error:
        raise InputError(
            f"{uri}: the evaluation set can't be read ({error}); mend spec.data.decontaminate.against", error.reason
        ) from error


def read_items(uri: str) -> Iterator[Item]:
    """Yield the items of an evaluation set: each line of JSON, with all text in it, or each paragraph of a text.

    Raises:
        InputError: A file can't be read, or isn't of a known format.
    """
    store = file_store(uri)
    for file in _files(uri):
        name = uncompressed_name(file.path)
        if not name.endswith(_LINES + _TEXTS):
            raise InputError(
                f"{file.path}: an evaluation set is JSON lines or text ({', '.join(_LINES + _TEXTS)}, also .gz and "
                f".zst); convert it, or leave it out of spec.data.decontaminate.against"
            )
        with open_uncompressed(store.open(file.path), file.path) as reader:
            content = b"".join(iter(lambda: reader.read(1 << 20), b""))
        yield from _json_items(file.path, content) if name.endswith(_LINES) else _paragraphs(file.path, content)


def _json_items(path: str, content: bytes) -> Iterator[Item]:
    for number, line in enumerate(content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        if line.strip():
            try:
                value = orjson.loads(line)
            except orjson.JSONDecodeError as error:
                raise InputError(
                    f"{path}:{number}: not JSON ({error}); an evaluation set has one JSON value a line",
                    Reason.INVALID_DATA,
                ) from error
            yield Item(f"{path}:{number}", list(_texts(value)))


def _texts(value: Any) -> Iterator[str]:
    """Yield all text in a JSON value; the names of fields are none."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for entry in value:
            yield from _texts(entry)
    elif isinstance(value, dict):
        for entry in value.values():
            yield from _texts(entry)


def _paragraphs(path: str, content: bytes) -> Iterator[Item]:
    lines = content.decode("utf-8", "replace").splitlines()
    first = 1
    paragraph: list[str] = []
    for number, line in enumerate([*lines, ""], start=1):
        if line.strip():
            first = first if paragraph else number
            paragraph.append(line)
        elif paragraph:
            yield Item(f"{path}:{first}", ["\n".join(paragraph)])
            paragraph = []


@dataclass(frozen=True)
class NgramTable:
    """The distinct n-grams of evaluation sets. Memory: some 30 bytes each."""

    ngram: int
    items: list[str]
    """Locations of the items."""
    too_short: int
    """Items without an n-gram: nothing can overlap with them."""
    keys: np.ndarray
    """uint64, shape (slots,)."""
    owners: np.ndarray
    """int32, shape (slots,): the first item that has the n-gram in this slot; -1: an empty slot."""
    bits: np.ndarray
    """uint64: a filter in front of the table."""

    @classmethod
    def read(cls, options: Decontaminate, normalize: Normalize) -> NgramTable:
        """Read the evaluation sets that a job names. Raises InputError as `read_items`."""
        keys, owners = [np.empty(0, np.uint64)], [np.empty(0, np.int32)]
        locations: list[str] = []
        too_short = 0
        for uri in options.against:
            for item in read_items(uri):
                texts = [normalize_unicode(text, normalize).encode() for text in item.texts]
                found = [ngrams_of(text, options.ngram).keys for text in texts]
                count = sum(map(len, found))
                too_short += count == 0
                keys += found
                owners.append(np.full(count, len(locations), np.int32))
                locations.append(item.location)
        return cls.of(options.ngram, locations, too_short, np.concatenate(keys), np.concatenate(owners))

    @classmethod
    def of(cls, ngram: int, items: list[str], too_short: int, keys: np.ndarray, owners: np.ndarray) -> NgramTable:
        """Build a table of keys and their owners."""
        slots = 1 << max(6, (2 * len(keys)).bit_length())
        empty = np.zeros(slots, np.uint64), np.full(slots, -1, np.int32), np.zeros(slots // 8, np.uint64)
        table = cls(ngram, items, too_short, *empty)
        insert(keys, owners, table.keys, table.owners, table.bits)
        return table

    def owners_of(self, keys: np.ndarray) -> np.ndarray:
        """Return the item of each n-gram, -1 where no item has it: int32, shape (keys,)."""
        found = np.empty(len(keys), np.int32)
        look_up(keys, self.keys, self.owners, found)
        return found
