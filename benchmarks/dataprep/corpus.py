"""Real text to measure with: Rust's documentation, if a Rust toolchain is on the machine, else Python's."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path

from pretrain_api.spec.data import Source
from pretrain_dataprep.sources.interface import Document
from pretrain_dataprep.sources.opening import open_source

_RUST = "toolchains/*/share/doc/rust/html"
_FEWEST_CHARACTERS = 200


def write_corpus(path: Path, size: int) -> str:
    """Write at least `size` bytes of documents as JSON lines; return what they are."""
    folders = sorted((Path.home() / ".rustup").glob(_RUST))
    # Standard library, book and reference in turns, so that a small corpus is no single kind of page.
    names = ("std", "book", "core", "reference", "cargo", "alloc", "rustc", "clippy", "nomicon")
    uris = [str(folders[0] / name) for name in names if (folders[0] / name).is_dir()] if folders else []
    documents = _in_turns(uris) if uris else _documents("sample://python")
    written = count = 0
    with path.open("w", encoding="utf-8") as file:
        for document in documents:
            if len(document.text) >= _FEWEST_CHARACTERS:
                file.write(json.dumps({"text": document.text}, ensure_ascii=False) + "\n")
                written += len(document.text.encode())
                count += 1
            if written >= size:
                break
    what = "Rust's documentation" if uris else "Python's documentation and sources"
    return f"{written / 1e6:.1f} MB of text in {count:,} documents ({what})"


def _in_turns(uris: list[str]) -> Iterator[Document]:
    missing = object()
    for some in itertools.zip_longest(*map(_documents, uris), fillvalue=missing):
        yield from (document for document in some if isinstance(document, Document))


def _documents(uri: str) -> Iterator[Document]:
    source = open_source(Source(name="text", uri=uri))
    for chunk in source.chunks():
        yield from (record for record in source.read(chunk) if isinstance(record, Document))


def read_texts(path: Path) -> list[str]:
    """Return the documents of a corpus."""
    with path.open(encoding="utf-8") as file:
        return [json.loads(line)["text"] for line in file]
