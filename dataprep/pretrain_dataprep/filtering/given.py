"""Models and word lists that are given by their addresses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from pretrain_dataprep.errors import ConfigurationError
from pretrain_dataprep.manifests import Input
from pretrain_dataprep.sources.decompress import open_uncompressed
from pretrain_dataprep.sources.storage import file_store, hash_range

_BLOCK_BYTES = 1 << 20


def given_inputs(addresses: Iterable[str]) -> list[Input]:
    """Return the files at addresses for a recipe. Raises InputError for one that can't be read."""
    inputs = []
    for address in addresses:
        store = file_store(address)
        for file in store.list_files(address):
            fingerprint = hash_range(store, file.path, 0, file.size, to_line_end=False)
            inputs.append(Input(file.path, file.size, fingerprint))
    return inputs


def given_lines(address: str) -> Iterator[str]:
    """Yield the lines of the files at an address, compressed or not; what isn't UTF-8 is replaced."""
    store = file_store(address)
    for file in store.list_files(address):
        rest = b""
        with open_uncompressed(store.open(file.path), file.path) as reader:
            while block := reader.read(_BLOCK_BYTES):
                *lines, rest = (rest + block).split(b"\n")
                yield from (line.decode("utf-8", "replace") for line in lines)
        yield rest.decode("utf-8", "replace")


def fetch(address: str, path: Path) -> None:
    """Copy the one file at an address. Raises ConfigurationError if there are several."""
    store = file_store(address)
    files = store.list_files(address)
    if len(files) != 1:
        raise ConfigurationError(f"{address}: {len(files)} files, where a model is one; write the path of the file")
    with store.open(files[0].path) as source, path.open("wb") as target:
        while block := source.read(_BLOCK_BYTES):
            target.write(block)
