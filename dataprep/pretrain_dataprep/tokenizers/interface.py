"""What every tokenizer can do, whichever library it comes from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from pretrain_api.names import SEPARATOR_TOKEN
from pretrain_api.wire import SpecialTokens
from pretrain_dataprep.text.batch import TextBatch


@dataclass(frozen=True, slots=True)
class TokenBatch:
    """The tokens of some documents, one after the other."""

    tokens: np.ndarray
    """int32, shape (tokens,)"""
    ends: np.ndarray
    """int64, shape (documents,): where each document's end."""

    @classmethod
    def of(cls, documents: Sequence[np.ndarray]) -> TokenBatch:
        """Join documents."""
        ends = np.cumsum([len(document) for document in documents], dtype=np.int64)
        return cls(np.concatenate([np.empty(0, np.int32), *documents], dtype=np.int32, casting="unsafe"), ends)

    def documents(self) -> list[np.ndarray]:
        """Return the tokens of each document: int32."""
        ends = self.ends.tolist()
        return [self.tokens[start:end] for start, end in zip([0, *ends], ends, strict=False)]


class Tokenizer(Protocol):
    """Turns text into token ids."""

    @property
    def kind(self) -> str:
        """Library and algorithm."""

    @property
    def vocab_size(self) -> int:
        """Number of ids; the greatest one and one more."""

    @property
    def special_tokens(self) -> SpecialTokens:
        """Ids of the tokens that pad, begin and end."""

    @property
    def reserved_tokens(self) -> dict[str, int]:
        """Ids of the tokens that objectives need, by their texts in `pretrain_api.names`."""

    def encode_batch(self, batch: TextBatch) -> TokenBatch:
        """Return the token ids of documents, without special tokens: text that reads like one is text."""

    def encode(self, texts: list[str]) -> Sequence[np.ndarray]:
        """Return the token ids of each text, int32, as `encode_batch` does."""


def end_token(tokenizer: Tokenizer) -> int | None:
    """Return the token that ends a document: that of the end, or [SEP]; None: it has neither."""
    end = tokenizer.special_tokens.eos
    return end if end is not None else tokenizer.reserved_tokens.get(SEPARATOR_TOKEN)


def token_dtype(vocab_size: int) -> type[np.uint16 | np.int32]:
    """Return what tokens are stored as: Megatron's rule, uint16 below 65,500 pieces."""
    return np.uint16 if vocab_size < 65_500 else np.int32


def describe(tokenizer: Tokenizer) -> dict[str, Any]:
    """Return what description.json says."""
    return {
        "kind": tokenizer.kind,
        "vocabSize": tokenizer.vocab_size,
        "specialTokens": tokenizer.special_tokens.model_dump(mode="json", by_alias=True),
        "reservedTokens": tokenizer.reserved_tokens,
    }
