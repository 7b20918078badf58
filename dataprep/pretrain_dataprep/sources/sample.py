"""`sample://python`: the built-in source for first tries and tests; real text that every machine with Python has.

    sample://python                                        all there is: 13 MB and more
    sample://python?megabytes=10                           about that much, a mixture of everything
    sample://python?kinds=topics,descriptions              some kinds only
    sample://python?corruption=wrong-codec&seed=1          the same text gone bad (see `corruption`)

The text is that of the interpreter that reads it: it differs between versions of Python and stays the same on one
machine. It is listed as virtual files in a fixed order, so that shards can divide them; a file is read when its text
is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from xxhash import xxh3_128

from pretrain_dataprep.errors import ConfigurationError, InputError
from pretrain_dataprep.sources import python_library as library
from pretrain_dataprep.sources.corruption import Corruption, corrupter
from pretrain_dataprep.sources.interface import Chunk, Document

SCHEME = "sample"


@dataclass(frozen=True)
class _Kind:
    list: Callable[[], dict[str, int]]
    read: Callable[[str], Iterator[library.NamedText]]


KINDS: dict[str, _Kind] = {
    "descriptions": _Kind(library.list_descriptions, library.read_description),
    "docstrings": _Kind(library.list_docstrings, library.read_docstrings),
    "licenses": _Kind(library.list_licenses, library.read_licenses),
    "sources": _Kind(library.list_sources, library.read_source),
    "topics": _Kind(library.list_topics, library.read_topic),
}


@dataclass(frozen=True)
class SampleParameters:
    """What a `sample://` URI asks for."""

    kinds: tuple[str, ...] = tuple(KINDS)
    megabytes: float | None = None
    """About how much text, in units of 1,000,000 bytes; None: all of it."""
    corruption: Corruption | None = None
    seed: int = 0
    """Of the corruption."""


@dataclass(frozen=True, order=True)
class SampleFile:
    """A virtual file."""

    name: str
    """`kind/path`."""
    size: int
    """Bytes of text; estimated for docstrings and for text outside ASCII."""


def parse_uri(uri: str) -> SampleParameters:
    """Return the parameters of a `sample://python` URI.

    Raises:
        ConfigurationError: another corpus, an unknown parameter or a value out of range; says what would be right.
    """
    parts = urlsplit(uri)
    if parts.scheme != SCHEME or parts.netloc != "python" or parts.path.strip("/"):
        raise ConfigurationError(f"{uri}: no such sample corpus; there is sample://python")
    given = dict(parse_qsl(parts.query, keep_blank_values=True))
    if unknown := sorted(set(given) - set(_PARSERS)):
        raise ConfigurationError(f"{uri}: unknown parameter {unknown[0]!r}; there are {', '.join(_PARSERS)}")
    values: dict[str, Any] = {}
    for name, text in given.items():
        try:
            values[name] = _PARSERS[name](text)
        except ValueError as error:
            raise ConfigurationError(f"{uri}: {error}") from None
    return SampleParameters(**values)


def _parse_kinds(text: str) -> tuple[str, ...]:
    kinds = tuple(sorted(set(text.split(","))))
    if unknown := [kind for kind in kinds if kind not in KINDS]:
        raise ValueError(f"unknown kind {unknown[0]!r}; there are {', '.join(KINDS)}")
    return kinds


def _parse_megabytes(text: str) -> float:
    try:
        megabytes = float(text)
    except ValueError:
        megabytes = 0.0
    if not 0 < megabytes < 1e6:
        raise ValueError(f"megabytes={text} is not a positive number")
    return megabytes


def _parse_corruption(text: str) -> Corruption:
    try:
        return Corruption(text)
    except ValueError:
        raise ValueError(f"unknown corruption {text!r}; there are {', '.join(Corruption)}") from None


def _parse_seed(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"seed={text} is not a whole number") from None


_PARSERS: dict[str, Callable[[str], object]] = {
    "kinds": _parse_kinds,
    "megabytes": _parse_megabytes,
    "corruption": _parse_corruption,
    "seed": _parse_seed,
}


def list_files(parameters: SampleParameters) -> list[SampleFile]:
    """Return the virtual files, sorted by name; no text of sources is read.

    Raises:
        FileNotFoundError: this Python comes without the sources that were asked for.
    """
    files = [
        SampleFile(f"{kind}/{name}", size) for kind in parameters.kinds for name, size in KINDS[kind].list().items()
    ]
    if parameters.megabytes is not None:
        files = _within(files, int(parameters.megabytes * 1_000_000))
    return sorted(files)


def _within(files: list[SampleFile], budget_bytes: int) -> list[SampleFile]:
    """Return a mixture that fits the budget: files in the order of a hash of the name, without those too big."""
    chosen, left = [], budget_bytes
    for file in sorted(files, key=lambda file: blake2b(file.name.encode(), digest_size=8).digest()):
        if file.size <= left:
            chosen.append(file)
            left -= file.size
    return chosen


def read_documents(name: str, parameters: SampleParameters) -> Iterator[library.NamedText]:
    """Yield (identifier, text) of the documents of a virtual file; identifiers are unique within the corpus.

    Raises:
        KeyError: no such file.
        OSError: a source can't be read.
    """
    kind, _, path = name.partition("/")
    documents = ((f"{kind}/{identifier}", text) for identifier, text in KINDS[kind].read(path))
    if parameters.corruption is None:
        return documents
    damage = corrupter(parameters.corruption, parameters.seed)
    return ((identifier, damage(identifier, text)) for identifier, text in documents)


class SampleSource:
    """`sample://python` as a source: each virtual file is a chunk."""

    def __init__(self, uri: str) -> None:
        """Raises ConfigurationError where the URI is wrong."""
        self._parameters = parse_uri(uri)

    def chunks(self) -> list[Chunk]:
        """List the virtual files, sorted. Raises InputError where this Python has no text of the kinds asked for."""
        try:
            files = list_files(self._parameters)
        except OSError as error:
            raise InputError(str(error)) from error
        if not files:
            raise InputError("sample://python: this much text has no file in it; ask for more megabytes or kinds")
        return [
            Chunk(f"{SCHEME}://python/{file.name}", file.name, start=0, end=file.size, size=file.size) for file in files
        ]

    def read(self, chunk: Chunk) -> Iterator[Document]:
        """Yield the documents of a virtual file; `position` counts them from 0. Raises InputError."""
        try:
            for position, (_, text) in enumerate(read_documents(chunk.relative_path, self._parameters)):
                yield Document(text, chunk.path, chunk.relative_path, position)
        except (OSError, KeyError) as error:
            raise InputError(f"{chunk.path}: {error}; was Python changed while the job ran?") from error

    def fingerprint(self, chunk: Chunk) -> str:
        """Return the xxh3-128 of the documents' identifiers and texts, in hexadecimal."""
        state = xxh3_128()
        for document in self.read(chunk):
            state.update(f"{document.position}\0{document.text}\0".encode(errors="surrogatepass"))
        return state.hexdigest()
