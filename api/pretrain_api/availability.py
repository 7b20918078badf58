"""What the contract names but this version doesn't do yet."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from pretrain_api.problems import Finding
from pretrain_api.spec.job import PretrainJob, PretrainJobSpec


@dataclass(frozen=True)
class _Entry:
    """A part of the contract that isn't there yet."""

    path: str
    what: Callable[[PretrainJobSpec], Any]
    """Returns what is asked for and not available, for the message; None: nothing is."""
    instead: str


def _not(value: Any, *available: Any) -> Any:
    return None if value in available else value


def _given(name: str, value: Any) -> str | None:
    return name if value else None


_ENTRIES: tuple[_Entry, ...] = (
    *(
        _Entry(
            f"spec.training.parallelism.{name}",
            lambda s, name=name: (  # type: ignore[misc]
                f"{name} {getattr(s.training.parallelism, name)}"
                if s.training and getattr(s.training.parallelism, name) > 1
                else None
            ),
            "write 1, and shard by zero",
        )
        for name in ("tensor", "pipeline", "expert")
    ),
    _Entry(
        "spec.training.parallelism.offload",
        lambda s: _not(s.training.parallelism.offload, "none", "cpu") if s.training else None,
        "write none or cpu",
    ),
)

# Formats of files that people have corpora in and that aren't read.
_UNREAD_SUFFIX = re.compile(
    r"\.(parquet\.(gz|zst)|csv|tsv|xml|pdf|epub|docx?|arrow|feather|tfrecord|tar|zip|7z|bin|idx)(\.(gz|zst))?$|\.(bz2|xz|lz4)$"
)


def unavailable(job: PretrainJob) -> Iterator[Finding]:
    """Yield path and message of everything `job` asks for that this version can't do."""
    for entry in _ENTRIES:
        what = entry.what(job.spec)
        if what is not None:
            yield Finding(entry.path, _message(what, entry.instead))
    yield from _sources(job)


def _message(what: Any, instead: str) -> str:
    return f"{what} is not available in this version; {instead}"


def _sources(job: PretrainJob) -> Iterator[Finding]:
    for index, source in enumerate(job.spec.data.sources):
        if source.format == "auto" and (suffix := _UNREAD_SUFFIX.search(source.uri.lower())):
            instead = "unpack the files" if "parquet" in suffix[0] else "convert the files to jsonl"
            yield Finding(f"spec.data.sources[{index}].uri", _message(suffix[0], instead))
