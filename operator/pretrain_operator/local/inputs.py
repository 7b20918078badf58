"""What the input files look like from outside: noticing that they changed costs a listing, not a reading."""

from __future__ import annotations

import glob
from pathlib import Path

from pretrain_api.resolve import content_hash
from pretrain_api.spec.data import Data

_FILE_SCHEME = "file://"


def inputs_fingerprint(data: Data) -> str:
    """Return a hash of the names, sizes and modification times of the local input files of a job.

    Remote files and the built-in sample aren't listed: their own work items look at them when they run.
    """
    named = [(source.name, source.uri) for source in data.sources]
    named += [(source.name, source.uri) for source in data.tokenized]
    return content_hash([[name, _listing(uri)] for name, uri in named])


def _listing(uri: str) -> list[tuple[str, int, int]] | str:
    if "://" in uri and not uri.startswith(_FILE_SCHEME):
        return uri
    return [_describe(path) for path in _files(uri.removeprefix(_FILE_SCHEME))]


def _files(pattern: str) -> list[Path]:
    path = Path(pattern)
    if path.is_dir():
        return sorted(each for each in path.rglob("*") if each.is_file())
    if path.exists():
        pairs = [path.with_suffix(suffix) for suffix in (".bin", ".idx")]
        return sorted({path, *(each for each in pairs if path.suffix in (".bin", "") and each.exists())})
    return sorted(Path(each) for each in glob.glob(pattern, recursive=True))  # noqa: PTH207 - absolute patterns, too


def _describe(path: Path) -> tuple[str, int, int]:
    status = path.stat()
    return str(path.absolute()), status.st_size, status.st_mtime_ns
