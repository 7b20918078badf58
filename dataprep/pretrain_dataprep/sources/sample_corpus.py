"""Writes the sample corpus out as files: the data of `sample://python` in the formats that users bring."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

from pretrain_dataprep.errors import ConfigurationError
from pretrain_dataprep.sources.sample import KINDS, SampleParameters, list_files, read_documents

CorpusFormat = Literal["jsonl", "text"]
_PART_BYTES = 1_000_000
_PART = re.compile(r"part-\d{5}\.jsonl")


def write_sample_corpus(
    directory: Path,
    parameters: SampleParameters,
    *,
    format: CorpusFormat = "jsonl",  # noqa: A002 (the name of the command's option)
    force: bool = False,
    progress: Callable[[int], None] = lambda _: None,
) -> dict[str, int]:
    """Write the corpus below `directory`, which appears whole or not at all.

    Args:
        directory: where to; its parents are made.
        parameters: what is written.
        format: jsonl: `part-00000.jsonl`… of about 1 MB, records `{"id", "text"}`; text: one `.txt` file a document.
        force: replace a sample corpus that is there already; nothing else is ever replaced.
        progress: called with the bytes of text of each document.

    Returns:
        Counts: files, documents, bytes (of text).

    Raises:
        ConfigurationError: something is there already, and `force` isn't set or it isn't a sample corpus.
        OSError: it can't be written.
    """
    _refuse_to_replace(directory, force)
    directory.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{directory.name}-", dir=directory.parent))
    try:
        temporary.chmod(0o755)
        counts = (_write_jsonl if format == "jsonl" else _write_text)(temporary, _documents(parameters, progress))
        _replace(directory, temporary)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return counts


def _refuse_to_replace(directory: Path, force: bool) -> None:
    if not directory.exists():
        return
    entries = list(directory.iterdir()) if directory.is_dir() else [directory]
    if not all(_PART.fullmatch(entry.name) or (entry.name in KINDS and entry.is_dir()) for entry in entries):
        raise ConfigurationError(f"{directory}: holds something else than a sample corpus; give another directory")
    if entries and not force:
        raise ConfigurationError(f"{directory}: is there already; give another directory, or --force to replace it")


def _documents(parameters: SampleParameters, progress: Callable[[int], None]) -> Iterator[tuple[str, str]]:
    for file in list_files(parameters):
        for identifier, text in read_documents(file.name, parameters):
            yield identifier, text
            progress(len(text.encode()))


def _write_jsonl(folder: Path, documents: Iterator[tuple[str, str]]) -> dict[str, int]:
    counts = {"files": 0, "documents": 0, "bytes": 0}
    part: list[bytes] = []
    size = 0
    for identifier, text in documents:
        part.append(json.dumps({"id": identifier, "text": text}, ensure_ascii=False).encode() + b"\n")
        size += len(part[-1])
        counts["documents"] += 1
        counts["bytes"] += len(text.encode())
        if size >= _PART_BYTES:
            counts["files"] += _write(folder / f"part-{counts['files']:05d}.jsonl", b"".join(part))
            part, size = [], 0
    if part:
        counts["files"] += _write(folder / f"part-{counts['files']:05d}.jsonl", b"".join(part))
    return counts


def _write_text(folder: Path, documents: Iterator[tuple[str, str]]) -> dict[str, int]:
    counts = {"files": 0, "documents": 0, "bytes": 0}
    for identifier, text in documents:
        content = text.encode()
        path = folder / f"{identifier}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        counts["files"] += _write(path, content)
        counts["documents"] += 1
        counts["bytes"] += len(content)
    return counts


def _write(path: Path, content: bytes) -> int:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return 1


def _replace(directory: Path, temporary: Path) -> None:
    """Move `temporary` to `directory`; what was there goes only when the new one is in its place."""
    if not directory.exists():
        temporary.rename(directory)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{directory.name}-old-", dir=directory.parent)) / directory.name
    directory.rename(old)
    temporary.rename(directory)
    shutil.rmtree(old.parent)
