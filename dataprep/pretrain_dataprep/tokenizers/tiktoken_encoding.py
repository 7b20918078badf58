"""A tiktoken encoding, from files that the user names: tiktoken would download them, which nobody asked for."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pretrain_api.wire import SpecialTokens
from pretrain_dataprep.errors import ConfigurationError, InputError
from pretrain_dataprep.sources.storage import file_store
from pretrain_dataprep.text.batch import TextBatch
from pretrain_dataprep.tokenizers import special
from pretrain_dataprep.tokenizers.interface import TokenBatch

if TYPE_CHECKING:
    from pretrain_dataprep.tokenizers.pretokens import PretokenEncoder

ENCODING_NAME = "encoding.json"
_FIELD = "spec.data.tokenizer"


class TiktokenTokenizer:
    """Turns text into token ids."""

    kind = "tiktoken"

    def __init__(self, folder: Path) -> None:
        """Load what `write_encoding` wrote."""
        import tiktoken

        document = json.loads((folder / ENCODING_NAME).read_bytes())
        ranks = {base64.b64decode(token): rank for rank, token in document["ranks"]}
        self._pattern: str = document["pattern"]
        self._special: dict[str, int] = document["specialTokens"]
        self._encoding: Any = tiktoken.Encoding(
            document["name"], pat_str=self._pattern, mergeable_ranks=ranks, special_tokens=self._special
        )

    @property
    def vocab_size(self) -> int:
        """The greatest id and one more."""
        return int(self._encoding.n_vocab)

    @property
    def special_tokens(self) -> SpecialTokens:
        """Ids of the special tokens."""
        return special.special_tokens(self._special, {})

    @property
    def reserved_tokens(self) -> dict[str, int]:
        """Ids of the tokens that objectives need, by text."""
        return special.reserved(self._special, {})

    def encode(self, texts: list[str]) -> Sequence[np.ndarray]:
        """Return the token ids of each text, int32, without special tokens."""
        return self.encode_batch(TextBatch.of(text.encode() for text in texts)).documents()

    def encode_batch(self, batch: TextBatch) -> TokenBatch:
        """Return the token ids of documents, without special tokens."""
        if self._pretokens is None:
            texts = batch.as_column().to_pylist()
            return TokenBatch.of([self._encoding.encode_to_numpy(text, disallowed_special=()) for text in texts])
        return self._pretokens.encode(batch)

    @cached_property
    def _pretokens(self) -> PretokenEncoder | None:
        """None: nothing is known of what the encoding's pattern does between words."""
        from pretrain_dataprep.tokenizers.word_patterns import PATTERNS

        if self._pattern not in PATTERNS:
            return None
        from pretrain_dataprep.tokenizers.pretokens import PretokenEncoder, joined_in_words

        encode_one = self._encoding.encode_ordinary
        return PretokenEncoder(joined_in_words(), lambda texts: [encode_one(text) for text in texts])


def read_encoding(name: str, uri: str) -> dict[str, Any]:
    """Return name, pattern, ranks and special tokens of an encoding that tiktoken, or a plug-in of it, knows.

    Raises:
        ConfigurationError: There is no encoding of that name.
        InputError: Its files aren't at `uri`, or aren't those of the encoding.
    """
    from tiktoken import registry

    registry._find_constructors()
    constructors = registry.ENCODING_CONSTRUCTORS or {}
    if name not in constructors:
        known = ", ".join(sorted(constructors))
        raise ConfigurationError(f"{_FIELD}.tiktoken: {name}: no encoding of tiktoken; write one of {known}")
    with _files_from(name, uri):
        return dict(constructors[name]())


@contextmanager
def _files_from(name: str, uri: str) -> Iterator[None]:
    """Let tiktoken read its files from `uri` while it builds an encoding, and nowhere else."""
    from tiktoken import load

    def read(blobpath: str, expected_hash: str | None = None) -> bytes:
        content = _find(name, uri, blobpath)
        if expected_hash is not None and hashlib.sha256(content).hexdigest() != expected_hash:
            raise InputError(
                f"{_FIELD}.uri: {uri}: {blobpath.rsplit('/', 1)[-1]} isn't the file of {name} (another SHA-256); "
                "copy it again, or correct tokenizer.tiktoken"
            )
        return content

    original = load.read_file_cached
    load.read_file_cached = read
    try:
        yield
    finally:
        load.read_file_cached = original


def _find(name: str, uri: str, address: str) -> bytes:
    """Return a file of the encoding: under its own name, or as tiktoken's cache calls it (SHA-1 of its address)."""
    base = address.rsplit("/", 1)[-1]
    wanted = (base, hashlib.sha1(address.encode(), usedforsecurity=False).hexdigest())
    store = file_store(uri)
    files = store.list_files(uri)
    found = next((file for file in files if file.path.rsplit("/", 1)[-1] in wanted), None)
    if found is None and len(files) == 1 and files[0].path.endswith(".tiktoken"):
        found = files[0]
    if found is None:
        raise InputError(
            f"{_FIELD}.uri: {uri}: has no {base}, which {name} needs; fetch {address} and put it there: nothing is "
            "downloaded here"
        )
    with store.open(found.path) as file:
        content: bytes = file.read()
    return content


def encoding_document(encoding: dict[str, Any]) -> dict[str, Any]:
    """Return what encoding.json says of what `read_encoding` returned."""
    ranks = sorted((rank, base64.b64encode(token).decode()) for token, rank in encoding["mergeable_ranks"].items())
    return {
        "name": encoding["name"],
        "pattern": encoding["pat_str"],
        "ranks": ranks,
        "specialTokens": encoding["special_tokens"],
    }
