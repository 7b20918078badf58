"""The text that comes with every Python: documentation topics, docstrings, sources, words of installed packages.

Each kind has a function that lists its files (names and sizes, no text read) and one that reads the documents of one
file. Nothing is imported to be read, save the table of topics, which is a dictionary and nothing else.
"""

from __future__ import annotations

import ast
import inspect
import os
import re
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path

# Tests, vendored wheels and build leftovers: not in every installation (Debian packs them apart), or not text.
_SKIPPED_FOLDERS = frozenset(
    {"test", "tests", "idle_test", "site-packages", "dist-packages", "__pycache__", "lib-dynload", "ensurepip"}
)
# A module that is one large literal of the topics, which are a kind of their own.
_SKIPPED_MODULES = frozenset({"pydoc_data/topics.py"})
# Docstrings with their headings / bytes of the sources they stand in (CPython 3.11 to 3.13: 0.16 to 0.17).
_DOCSTRING_SHARE = 0.17
# This project's own description changes as the project does; the corpus of a machine shall not.
_SKIPPED_PACKAGES = frozenset({"pretrain"})

NamedText = tuple[str, str]
"""Identifier (`asyncio/tasks.py#Task.cancel`) and text."""


@cache
def topics() -> dict[str, str]:
    """Return the language reference's topics by name, as `help()` shows them; none where Python comes without them."""
    try:
        from pydoc_data.topics import topics as table
    except ModuleNotFoundError:  # some distributions pack the documentation apart
        return {}
    return dict(table)


def list_topics() -> dict[str, int]:
    """Return name -> size in characters."""
    return {name: len(text) for name, text in topics().items()}


def read_topic(name: str) -> Iterator[NamedText]:
    """Yield the one document of a topic."""
    yield name, topics()[name]


@cache
def library_folder() -> Path:
    """Return where the standard library's sources lie.

    Raises:
        FileNotFoundError: this Python has no sources (a zipped or frozen installation).
    """
    folder = Path(sysconfig.get_path("stdlib"))
    if not (folder / "os.py").is_file():
        raise FileNotFoundError(
            f"{folder}: the standard library's sources are not there; "
            "use a Python that has them, or kinds=topics,descriptions"
        )
    return folder


@cache
def list_sources() -> dict[str, int]:
    """Return path below the library's folder, with forward slashes -> size in bytes.

    Raises:
        FileNotFoundError: as `library_folder`.
    """
    root = library_folder()
    sizes: dict[str, int] = {}
    for folder, subfolders, files in os.walk(root):
        subfolders[:] = [name for name in subfolders if not _skipped_folder(name)]
        for file in (Path(folder, name) for name in files if _is_source(name)):
            if (name := file.relative_to(root).as_posix()) not in _SKIPPED_MODULES:
                sizes[name] = file.stat().st_size
    return sizes


def _is_source(file: str) -> bool:
    return file.endswith(".py") and not file.startswith("_sysconfigdata")


def _skipped_folder(name: str) -> bool:
    return name in _SKIPPED_FOLDERS or name.startswith("config-")


def read_source(name: str) -> Iterator[NamedText]:
    """Yield the one document of a module: its whole source, read as UTF-8 (bad bytes become U+FFFD)."""
    text = (library_folder() / name).read_text(encoding="utf-8", errors="replace")
    if text:
        yield name, text


def list_docstrings() -> dict[str, int]:
    """Return the modules again -> estimated size of their docstrings in bytes."""
    return {name: int(size * _DOCSTRING_SHARE) for name, size in list_sources().items()}


# `ast` finds the same docstrings (a test compares), at 2 MB/s; this runs at 50 MB/s or more.
_DOCSTRING = re.compile(
    r"""
    ^(?P<indent>[ \t]*)(?:async[ ]+)?(?P<keyword>def|class)[ ]+(?P<name>\w+)[ ]*
    (?P<arguments>\((?:[^()\#]|\((?:[^()\#]|\([^()\#]*\))*\))*\))?      # parentheses nested to three levels
    [^:\n\#]*:[ \t]*(?:\#[^\n]*)?\n(?:[ \t]*(?:\#[^\n]*)?\n)*
    (?P=indent)[ \t]+(?P<literal>[rR]?(?:\"{3}(?:[^"\\]|\\.|"(?!""))*\"{3}|'{3}(?:[^'\\]|\\.|'(?!''))*'{3}))
    """,
    re.VERBOSE | re.MULTILINE | re.DOTALL,
)
_MODULE_DOCSTRING = re.compile(
    r"""\A(?:[ \t]*(?:\#[^\n]*)?\n)*([rR]?(?:\"{3}(?:[^"\\]|\\.|"(?!""))*\"{3}|'{3}(?:[^'\\]|\\.|'(?!''))*'{3}))""",
    re.DOTALL,
)


def read_docstrings(name: str) -> Iterator[NamedText]:
    """Yield a module's own docstring, then one document for each documented function or class in it.

    A document is the signature, an empty line and the docstring with its indentation taken off.
    """
    for _, source in read_source(name):
        if module := _MODULE_DOCSTRING.match(source):
            yield name, _clean(module[1])
        seen: dict[str, int] = {}
        for match in _DOCSTRING.finditer(source):
            seen[match["name"]] = number = seen.get(match["name"], 0) + 1
            suffix = "" if number == 1 else f".{number}"
            signature = " ".join(f"{match['name']}{match['arguments'] or ''}".split())
            yield f"{name}#{match['name']}{suffix}", f"{signature}\n\n{_clean(match['literal'])}"


def _clean(literal: str) -> str:
    return inspect.cleandoc(ast.literal_eval(literal))


@dataclass(frozen=True)
class _Package:
    description: str
    licenses: dict[str, str]
    """File name -> text."""


@cache
def _packages() -> dict[str, _Package]:
    """Return `name-version` -> an installed package's own words.

    Of two with the same name and version it is the one that import finds. A broken installation has none.
    """
    found: dict[str, _Package] = {}
    for distribution in metadata.distributions():
        try:
            headers = distribution.metadata.json
            name, description = headers.get("name"), str(headers.get("description", "")).strip()
            if isinstance(name, str) and name not in _SKIPPED_PACKAGES:
                package = _Package(description, _license_texts(distribution))
                found.setdefault(f"{name.lower()}-{headers.get('version')}", package)
        except (OSError, UnicodeDecodeError, AttributeError):  # newer Pythons give None for metadata that isn't there
            continue
    return found


def _license_texts(distribution: metadata.Distribution) -> dict[str, str]:
    """Read the licences beside the metadata: in `licenses/` (PEP 639), or where older tools put them."""
    files = distribution.metadata.get_all("License-File", [])
    texts = {file: distribution.read_text(f"licenses/{file}") or distribution.read_text(file) for file in files}
    return {file: text.strip() for file, text in texts.items() if text and text.strip()}


def list_descriptions() -> dict[str, int]:
    """Return `name-version` of each installed package that describes itself -> size in characters."""
    return {name: len(package.description) for name, package in _packages().items() if package.description}


def read_description(name: str) -> Iterator[NamedText]:
    """Yield the one document of a package: its README, as it was published."""
    yield name, _packages()[name].description


def list_licenses() -> dict[str, int]:
    """Return `name-version` of each installed package that brings its licence -> size in characters."""
    sizes = {name: sum(map(len, package.licenses.values())) for name, package in _packages().items()}
    return {name: size for name, size in sizes.items() if size}


def read_licenses(name: str) -> Iterator[NamedText]:
    """Yield a package's licences, one document each: many packages have the same, or the same but for a line."""
    for file, text in sorted(_packages()[name].licenses.items()):
        yield f"{name}/{file}", text
