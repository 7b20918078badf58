"""What the input files look like from outside: noticing that they changed costs a listing, not a reading."""

from __future__ import annotations

import glob
from pathlib import Path

from pretrain_api.locations import FILE_SCHEME
from pretrain_api.resolve import content_hash
from pretrain_api.spec.data import Data
from pretrain_api.wire import StorageLayout


def inputs_fingerprint(data: Data) -> str:
    """Return a hash of the names, sizes and modification times of the local input files of a job.

    Remote files and the built-in sample aren't listed: their own work items look at them when they run.
    """
    named = [(source.name, source.uri) for source in data.sources]
    for source in data.tokenized:
        named += [(source.name, source.uri), (source.name, source.validation_uri or "")]
    if data.prepared is not None:
        # Replacing the blend is the last step of every preparation.
        blend = StorageLayout(data.prepared.removeprefix(FILE_SCHEME)).blend
        named.append(("prepared", str(blend) if _is_local(data.prepared) else data.prepared))
    named += data.clean.addresses()
    named += [("against", uri) for uri in (data.decontaminate.against if data.decontaminate is not None else ())]
    for entry in data.augment:
        named += [(entry.name, path) for path in entry.command_files if Path(path).is_file()]
        named.append((entry.name, entry.dictionary or ""))
    return content_hash([[name, _listing(uri)] for name, uri in named])


def _listing(uri: str) -> list[tuple[str, int, int]] | str:
    if not _is_local(uri):
        return uri
    return [_describe(path) for path in _files(uri.removeprefix(FILE_SCHEME))]


def _is_local(uri: str) -> bool:
    return bool(uri) and ("://" not in uri or uri.startswith(FILE_SCHEME))


def _files(pattern: str) -> list[Path]:
    path = Path(pattern)
    if path.is_dir():
        return sorted(each for each in path.rglob("*") if each.is_file())
    pair = [Path(f"{pattern.removesuffix('.bin')}{suffix}") for suffix in (".bin", ".idx")]
    found = {each for each in (path, *pair) if each.is_file()}
    if found:
        return sorted(found)
    return sorted(Path(each) for each in glob.glob(pattern, recursive=True))  # noqa: PTH207 - absolute patterns, too


def _describe(path: Path) -> tuple[str, int, int]:
    status = path.stat()
    return str(path.absolute()), status.st_size, status.st_mtime_ns
