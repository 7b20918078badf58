"""A SentencePiece model: loading, its facts, encoding."""

from __future__ import annotations

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
from pretrain_dataprep.tokenizers.model_proto import BPE, WITHOUT_DUMMY_PREFIX, EncodingFacts, encoding_facts

if TYPE_CHECKING:
    from pretrain_dataprep.tokenizers.pretokens import PretokenEncoder

MODEL_NAME = "tokenizer.model"
_SPACE = "\u2581"
"""Stands for a space in pieces."""


class SentencePieceTokenizer:
    """Turns text into token ids."""

    kind = "sentencepiece"

    def __init__(self, path: Path) -> None:
        """Load a model. Raises InputError if the file isn't one."""
        import sentencepiece

        try:
            self._model = path.read_bytes()
            self._processor: Any = sentencepiece.SentencePieceProcessor(model_proto=self._model)
            self._facts = encoding_facts(self._model)
        except (OSError, RuntimeError, ValueError) as error:
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
        return self.encode_batch(TextBatch.of(text.encode() for text in texts)).documents()

    def encode_batch(self, batch: TextBatch) -> TokenBatch:
        """Return the token ids of documents, without special tokens."""
        if self._pretokens is None:
            texts = batch.as_column().to_pylist()
            return TokenBatch.of(self._processor.encode(texts, out_type="numpy", num_threads=1))
        return self._pretokens.encode(_after_spaces(batch) if self._facts.add_dummy_prefix else batch)

    @cached_property
    def _pretokens(self) -> PretokenEncoder | None:
        """None: the model isn't one whose pieces depend on nothing but their own part of the text.

        Unigram's best path is a sum over the whole text, rounded on the way; normalisation may look at neighbours.
        """
        facts = self._facts
        is_plain = not facts.charsmap and facts.escape_whitespaces and not facts.remove_extra_whitespaces
        if facts.model_type != BPE or not is_plain:
            return None
        import sentencepiece

        from pretrain_dataprep.tokenizers.pretokens import PretokenEncoder

        parts: Any = sentencepiece.SentencePieceProcessor(model_proto=self._model + WITHOUT_DUMMY_PREFIX)
        return PretokenEncoder(_joined(parts, facts), lambda texts: parts.encode(texts, num_threads=1))


def _joined(processor: Any, facts: EncodingFacts) -> np.ndarray:
    """Return which bytes may be side by side in a piece; a space in a piece is also the character that stands for it.

    Unknown characters side by side become one token where there are no bytes to fall back to: there a text is cut only
    before known ones.
    """
    from pretrain_dataprep.tokenizers.pretokens import joined_in_pieces

    pieces = processor.id_to_piece(list(range(processor.get_piece_size())))
    content = "\0".join(pieces)
    joined = joined_in_pieces([content.encode(), content.replace(_SPACE, " ").encode()])
    first, *_, last = _SPACE.encode()
    joined[ord(" "), first] = joined[last, ord(" ")] = True
    if not facts.byte_fallback:
        unknown = processor.unk_id()
        known = [byte for byte in range(128) if processor.piece_to_id(chr(byte).replace(" ", _SPACE)) != unknown]
        joined[:, np.setdiff1d(np.arange(256), known)] = True
    return joined


def _after_spaces(batch: TextBatch) -> TextBatch:
    """Return the documents, each that isn't empty after a space."""
    sizes = batch.sizes()
    text = np.insert(batch.text, batch.offsets[:-1][sizes > 0], ord(" "))
    return TextBatch(text, np.concatenate([[0], np.cumsum(sizes + (sizes > 0))]).astype(np.int64))


def _is_user_defined(pieces: Any, token: int) -> bool:
    """Such as sentinels in some models: no part of a word, so that it has no score."""
    return bool(pieces.get_score(token) == 0.0 and pieces.id_to_piece(token).startswith(("<", "[")))
