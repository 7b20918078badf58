"""A SentencePiece model: loading, its facts, encoding."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from pretrain_api.wire import SpecialTokens
from pretrain_dataprep.errors import InputError

MODEL_NAME = "tokenizer.model"
DESCRIPTION_NAME = "tokenizer.json"


class SentencePieceTokenizer:
    """Turns text into token ids."""

    kind = "sentencepiece"

    def __init__(self, path: Path) -> None:
        """Load a model. Raises InputError if the file isn't one."""
        import sentencepiece

        try:
            self._processor: Any = sentencepiece.SentencePieceProcessor(model_file=str(path))
        except (OSError, RuntimeError) as error:
            raise InputError(f"{path}: not a SentencePiece model: {error}") from error

    @property
    def vocab_size(self) -> int:
        """Number of pieces."""
        return int(self._processor.get_piece_size())

    @property
    def special_tokens(self) -> SpecialTokens:
        """Ids of the special tokens."""
        ids = {name: int(getattr(self._processor, f"{name}_id")()) for name in ("pad", "unk", "bos", "eos")}
        return SpecialTokens(**{name: value if value >= 0 else None for name, value in ids.items()})

    def encode(self, texts: list[str]) -> list[list[int]]:
        """Return the token ids of each text, without special tokens."""
        ids: list[list[int]] = self._processor.encode(texts, out_type=int, num_threads=1)
        return ids

    def token_dtype(self) -> type[np.uint16 | np.int32]:
        """Return what tokens are stored as: Megatron's rule, uint16 below 65,500 pieces."""
        return np.uint16 if self.vocab_size < 65_500 else np.int32

    def describe(self) -> dict[str, Any]:
        """Return what tokenizer.json says."""
        return {
            "kind": self.kind,
            "vocabSize": self.vocab_size,
            "specialTokens": self.special_tokens.model_dump(mode="json", by_alias=True),
        }
