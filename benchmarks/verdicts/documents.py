"""Real documents of this machine: Rust's documentation, manual pages, descriptions of installed packages."""

from __future__ import annotations

import gzip
import hashlib
import re
from collections.abc import Iterator
from importlib.metadata import distributions
from pathlib import Path

from pretrain_api.spec.data import Normalize
from pretrain_dataprep.sources.html import html_to_text
from pretrain_dataprep.text.batch import TextBatch
from pretrain_dataprep.text.tidy import normalize_unicode, tidy

LEAST_CHARACTERS, MOST_CHARACTERS = 200, 6_000
"""Lengths of the documents: longer ones take datatrove minutes without telling more."""

_ROFF_MACRO = re.compile(r"^[.'](?:\\\"|[A-Za-z]{1,2}\b)?\s*")
_ROFF_ESCAPE = re.compile(r"\\f(?:\[\w*\]|\(..|.)|\\[,/&|^]|\\s[-+]?\d|\\\*?\[[^\]]*\]")


def documents(count: int) -> list[str]:
    """Return documents, tidied as the product does it; chosen by a hash of their paths, the same every time.

    Fewer than `count` where the machine has no more.
    """
    found = []
    for text in _texts():
        tidied = tidy(TextBatch.of([normalize_unicode(text, Normalize()).encode()])).document(0).decode()
        if LEAST_CHARACTERS <= len(tidied) <= MOST_CHARACTERS:
            found.append(tidied)
        if len(found) == count:
            break
    return found


def _texts() -> Iterator[str]:
    descriptions = {item.name: item.read_text("METADATA") or "" for item in distributions()}
    for _, metadata in sorted(descriptions.items()):
        yield metadata.partition("\n\n")[2]
    paths = [*Path("/usr/share/man").glob("man[1-9]/*.gz")]
    for toolchain in sorted(Path.home().glob(".rustup/toolchains/stable-*")):
        paths += (toolchain / "share/doc/rust/html").rglob("*.html")
    for path in sorted(paths, key=lambda path: hashlib.sha256(str(path).encode()).digest()):
        yield _html(path) if path.suffix == ".html" else _manual(path)


def _html(path: Path) -> str:
    return html_to_text(path.read_text("utf-8", "replace"))


def _manual(path: Path) -> str:
    """Return a manual page's words: roff's macros and escapes are cut out, paragraphs stay."""
    lines = gzip.decompress(path.read_bytes()).decode("utf-8", "replace").split("\n")
    kept = ("" if line.startswith((".P", ".SH", ".TP", ".LP")) and len(line) < 4 else line for line in lines)
    return "\n".join(
        _ROFF_ESCAPE.sub("", _ROFF_MACRO.sub("", line)).replace("\\-", "-").replace("\\", "")
        for line in kept
        if not line.startswith(('.\\"', "'\\\""))
    )
