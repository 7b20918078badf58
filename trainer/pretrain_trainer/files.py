"""Writing files so that a reader never sees half of one, and a crash never leaves one."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any


def write_atomically(path: Path, content: bytes, durable: bool = True) -> None:
    """Replace `path` by a file with `content`; readers see the old or the new one, never a part.

    Args:
        path: File to write; its directory must exist.
        content: The new content.
        durable: Flush to the disk before and after the file gets its name.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        with suppress(FileNotFoundError):
            temporary.unlink()
        raise
    if durable:
        sync_directory(path.parent)


def write_json(path: Path, value: Any, durable: bool = True) -> None:
    """Replace `path` by a file with `value` as JSON."""
    write_atomically(path, json.dumps(value, ensure_ascii=False, indent=1).encode() + b"\n", durable)


def sync_file(path: Path) -> None:
    """Flush a file's content to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_directory(path: Path) -> None:
    """Flush a directory's entries to the disk."""
    sync_file(path)


def remove_tree(path: Path) -> None:
    """Remove a directory that may not be there. It loses its name first, so that no half of it is ever found."""
    doomed = path.with_name(f".{path.name}.removed")
    if doomed.exists():
        shutil.rmtree(doomed)
    try:
        path.rename(doomed)
    except FileNotFoundError:
        return
    shutil.rmtree(doomed)


def json_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the whole lines of a JSON Lines file; a torn last one and what isn't JSON are left out."""
    try:
        lines = path.read_bytes().split(b"\n")[:-1]
    except FileNotFoundError:
        return
    for line in lines:
        try:
            value = json.loads(line)
        except ValueError:
            continue
        if isinstance(value, dict):
            yield value
