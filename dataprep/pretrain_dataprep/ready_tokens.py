"""data.tokenized: pairs that others have tokenized, looked at before anybody trains on them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xxhash

from pretrain_api.locations import local_path
from pretrain_api.spec.data import TokenizedSource
from pretrain_api.wire import ENV_CLAIMS, BlendPair, BlendSource
from pretrain_dataprep.context import StageContext
from pretrain_dataprep.errors import ConfigurationError, InputError
from pretrain_dataprep.files import hash_file
from pretrain_dataprep.megatron import PairFacts, read_facts

SAMPLE_BLOCKS, BLOCK_BYTES = 256, 1 << 18
"""How much of a file is read: 64 MiB at most, spread evenly over it."""


@dataclass(frozen=True)
class ReadyPair:
    """A pair, and what is known of it."""

    prefix: Path
    facts: PairFacts
    fingerprint: str
    """Of the whole index and of a sample of the tokens."""
    greatest_token: int
    """Of the sample; -1: there are no tokens."""


def resolve_location(path: str, uri: str) -> Path:
    """Return where `uri`, the value of the field `path`, is on this machine. Raises ConfigurationError."""
    try:
        return local_path(uri, os.environ.get(ENV_CLAIMS)).absolute()
    except ValueError as error:
        raise ConfigurationError(f"{path}: {error}") from error


def read_pairs(path: str, uri: str) -> list[ReadyPair]:
    """Look at all pairs that `uri`, the value of the field `path`, names. Raises InputError."""
    return [_read_pair(prefix) for prefix in _prefixes(path, resolve_location(path, uri))]


def _prefixes(path: str, place: Path) -> list[Path]:
    name = str(place)
    if place.is_dir():
        found = sorted(place.rglob("*.bin"))
    elif any(character in name for character in "*?["):
        root = Path(place.anchor)
        found = sorted(each for each in root.glob(str(place.relative_to(root))) if each.suffix == ".bin")
    else:
        return [Path(name.removesuffix(".bin").removesuffix(".idx"))]
    if not found:
        raise InputError(f"{path}: {place}: no .bin file there; correct the uri, or tokenize the corpus")
    return [Path(str(each).removesuffix(".bin")) for each in found]


def _read_pair(prefix: Path) -> ReadyPair:
    facts = read_facts(prefix)
    digest = xxhash.xxh3_128(hash_file(Path(f"{prefix}.idx")).encode())
    greatest = -1
    for block in _sample(Path(f"{prefix}.bin"), facts):
        digest.update(block.tobytes())
        greatest = max(greatest, int(block.max()))
    return ReadyPair(prefix, facts, digest.hexdigest(), greatest)


def _sample(path: Path, facts: PairFacts) -> Iterator[np.ndarray]:
    if facts.tokens == 0:
        return
    tokens = np.memmap(path, facts.dtype, "r")
    length = BLOCK_BYTES // facts.dtype.itemsize
    blocks = -(-len(tokens) // length)
    for block in sorted({number * blocks // SAMPLE_BLOCKS for number in range(SAMPLE_BLOCKS)} | {blocks - 1}):
        yield np.asarray(tokens[block * length : (block + 1) * length])


def ready_source(context: StageContext, index: int) -> tuple[BlendSource, list[ReadyPair]]:
    """Return the source data.tokenized[index] as the trainer reads it, and its pairs."""
    spec: TokenizedSource = context.data.tokenized[index]
    field = f"spec.data.tokenized[{index}]"
    train = read_pairs(f"{field}.uri", spec.uri)
    held_back = read_pairs(f"{field}.validationUri", spec.validation_uri) if spec.validation_uri else []
    pairs = [_for_training(pair) for pair in train] + [_for_validation(pair) for pair in held_back]
    source = BlendSource(
        name=spec.name,
        epochs=spec.epochs,
        train_tokens=sum(pair.train_tokens for pair in pairs),
        train_documents=sum(pair.train_documents for pair in pairs),
        validation_tokens=sum(pair.validation_tokens for pair in pairs),
        validation_documents=sum(pair.validation_documents for pair in pairs),
        pairs=pairs,
    )
    return source, [*train, *held_back]


def _for_training(pair: ReadyPair) -> BlendPair:
    return BlendPair(train=str(pair.prefix), train_tokens=pair.facts.tokens, train_documents=pair.facts.sequences)


def _for_validation(pair: ReadyPair) -> BlendPair:
    return BlendPair(
        validation=str(pair.prefix),
        validation_tokens=pair.facts.tokens,
        validation_documents=pair.facts.sequences,
    )
