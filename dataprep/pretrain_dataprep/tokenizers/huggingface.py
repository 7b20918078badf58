"""A tokenizer.json of Hugging Face's `tokenizers`: loading, its facts, encoding."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pretrain_api.wire import SpecialTokens
from pretrain_dataprep.errors import InputError
from pretrain_dataprep.text.batch import TextBatch
from pretrain_dataprep.tokenizers import special
from pretrain_dataprep.tokenizers.interface import TokenBatch

if TYPE_CHECKING:
    from pretrain_dataprep.tokenizers.pretokens import PretokenEncoder

TOKENIZER_NAME = "tokenizer.json"
CONFIG_NAME = "tokenizer_config.json"
MAP_NAME = "special_tokens_map.json"


class HuggingFaceTokenizer:
    """Turns text into token ids."""

    def __init__(self, folder: Path) -> None:
        """Load tokenizer.json, and the names of special tokens beside it. Raises InputError if the file isn't one."""
        from tokenizers import Tokenizer

        path = folder / TOKENIZER_NAME
        try:
            self._tokenizer: Any = Tokenizer.from_str(path.read_text(encoding="utf-8"))
        except Exception as error:  # the library has no class of its own
            raise InputError(f"{path}: not a tokenizer of Hugging Face's library: {error}") from error
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        # Text that reads like a special token is text: a document must not end another one.
        self._tokenizer.encode_special_tokens = True
        self._named = named_tokens(folder)
        self.kind = f"huggingface-{type(self._tokenizer.model).__name__.lower()}"

    @cached_property
    def vocab_size(self) -> int:
        """The greatest id and one more: ids may have gaps."""
        return int(max(self._tokenizer.get_vocab(with_added_tokens=True).values())) + 1

    @cached_property
    def _special_ids(self) -> dict[str, int]:
        """Ids of special tokens, and of tokens of a model that lists none, by text."""
        added = {token.content: int(number) for number, token in self._tokenizer.get_added_tokens_decoder().items()}
        known = {text: self._tokenizer.token_to_id(text) for text in self._named.values()}
        return added | {text: int(number) for text, number in known.items() if number is not None}

    @property
    def special_tokens(self) -> SpecialTokens:
        """Ids of the special tokens."""
        return special.special_tokens(self._special_ids, self._named)

    @property
    def reserved_tokens(self) -> dict[str, int]:
        """Ids of the tokens that objectives need, by text."""
        return special.reserved(self._special_ids, self._named)

    def encode(self, texts: list[str]) -> Sequence[np.ndarray]:
        """Return the token ids of each text, int32, without special tokens."""
        return self.encode_batch(TextBatch.of(text.encode() for text in texts)).documents()

    def encode_batch(self, batch: TextBatch) -> TokenBatch:
        """Return the token ids of documents, without special tokens."""
        if self._pretokens is None:
            return TokenBatch.of([np.array(ids, np.int32) for ids in self._ids(batch.as_column().to_pylist())])
        return self._pretokens.encode(batch)

    def _ids(self, texts: list[str]) -> list[list[int]]:
        return [encoding.ids for encoding in self._tokenizer.encode_batch_fast(texts, add_special_tokens=False)]

    @cached_property
    def _pretokens(self) -> PretokenEncoder | None:
        """None: nothing is known of what the tokenizer does between words."""
        if not _encodes_word_by_word(self._tokenizer):
            return None
        from pretrain_dataprep.tokenizers.pretokens import PretokenEncoder, joined_in_words

        return PretokenEncoder(joined_in_words(), self._ids)


def _encodes_word_by_word(tokenizer: Any) -> bool:
    """Does it cut texts by itself where `joined_in_words` says, with nothing in the way?"""
    from pretrain_dataprep.tokenizers.word_patterns import PATTERNS

    kind = type(tokenizer.model).__name__
    if not all(token.special for token in tokenizer.get_added_tokens_decoder().values()):
        return False  # others are looked for in the text before it is cut
    normalizer, cutter = (_settings(part) for part in (tokenizer.normalizer, tokenizer.pre_tokenizer))
    if kind == "WordPiece":
        return normalizer.get("type") == "BertNormalizer" and cutter.get("type") == "BertPreTokenizer"
    if kind != "BPE" or tokenizer.model.dropout or normalizer.get("type") not in (None, "NFC"):
        return False
    parts = cutter.get("pretokenizers", [cutter])
    letters = parts[-1]
    if letters.get("type") != "ByteLevel" or letters["add_prefix_space"]:
        return False
    if len(parts) == 1:
        return bool(letters["use_regex"])
    if len(parts) > 2 or parts[0].get("type") != "Split" or letters["use_regex"]:
        return False
    every_match = (parts[0]["behavior"], parts[0]["invert"]) in (("Isolated", False), ("Removed", True))
    return every_match and parts[0]["pattern"].get("Regex") in PATTERNS


def _settings(part: Any) -> dict[str, Any]:
    """Return what tokenizer.json says of a normaliser or pre-tokenizer; nothing of none."""
    settings: dict[str, Any] = json.loads(part.__getstate__()) if part is not None else {}
    return settings


def named_tokens(folder: Path) -> dict[str, str]:
    """Return the texts of special tokens by role (pad, unk, bos, eos, mask, cls, sep), as the files beside it say."""
    named: dict[str, str] = {}
    for name in (MAP_NAME, CONFIG_NAME):
        path = folder / name
        if not path.exists():
            continue
        try:
            document = json.loads(path.read_bytes())
        except ValueError as error:
            raise InputError(f"{path}: not JSON: {error}; save the tokenizer again") from error
        for role in ("pad", "unk", "bos", "eos", "mask", "cls", "sep"):
            value = document.get(f"{role}_token")
            text = value.get("content") if isinstance(value, dict) else value
            if isinstance(text, str):
                named[role] = text
    return named
