"""A SentencePiece model: loading, its facts, encoding."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from pretrain_api.wire import SpecialTokens
from pretrain_dataprep.errors import InputError
from pretrain_dataprep.tokenizers import special

MODEL_NAME = "tokenizer.model"


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

    @cached_property
    def reserved_tokens(self) -> dict[str, int]:
        """Ids of control pieces that objectives need, by text."""
        pieces = self._processor
        controls = {
            pieces.id_to_piece(token): token
            for token in range(self.vocab_size)
            if pieces.is_control(token) or _is_user_defined(pieces, token)
        }
        return special.reserved(controls, {})

    def encode(self, texts: list[str]) -> Sequence[np.ndarray]:
        """Return the token ids of each text, int32, without special tokens."""
        ids: list[np.ndarray] = self._processor.encode(texts, out_type="numpy", num_threads=1)
        return ids


def _is_user_defined(pieces: Any, token: int) -> bool:
    """Such as sentinels in some models: no part of a word, so that it has no score."""
    return bool(pieces.get_score(token) == 0.0 and pieces.id_to_piece(token).startswith(("<", "[")))
