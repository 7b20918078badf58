"""The job's tokenizer, for samples and for objectives that look at words: SentencePiece's or Hugging Face's library."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

SENTENCEPIECE_NAME = "tokenizer.model"
HUGGING_FACE_NAME = "tokenizer.json"


class TextTokenizer(Protocol):
    """From text to token ids and back."""

    def encode(self, text: str) -> list[int]:
        """Return the tokens of a text, without special ones."""

    def decode(self, tokens: Sequence[int]) -> str:
        """Return the text of tokens; special ones are left out."""

    def pieces(self) -> list[str]:
        """Return the text of each token id, as the library writes it; "" where an id has none."""


class _SentencePiece:
    def __init__(self, path: Path) -> None:
        import sentencepiece

        self._processor: Any = sentencepiece.SentencePieceProcessor(model_file=str(path))

    def encode(self, text: str) -> list[int]:
        ids: list[int] = self._processor.encode(text)
        return ids

    def decode(self, tokens: Sequence[int]) -> str:
        return str(self._processor.decode(list(tokens)))

    def pieces(self) -> list[str]:
        return [self._processor.id_to_piece(token) for token in range(self._processor.get_piece_size())]


class _HuggingFace:
    def __init__(self, path: Path) -> None:
        from tokenizers import Tokenizer

        self._tokenizer: Any = Tokenizer.from_file(str(path))

    def encode(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def decode(self, tokens: Sequence[int]) -> str:
        return str(self._tokenizer.decode(list(tokens), skip_special_tokens=True))

    def pieces(self) -> list[str]:
        ids = self._tokenizer.get_vocab(with_added_tokens=True)
        texts = [""] * (max(ids.values()) + 1)
        for text, token in ids.items():
            texts[token] = text
        return texts


def open_tokenizer(directory: Path) -> TextTokenizer | None:
    """Return the tokenizer of a directory; None: there is none that can be read."""
    if (directory / SENTENCEPIECE_NAME).exists():
        return _SentencePiece(directory / SENTENCEPIECE_NAME)
    if (directory / HUGGING_FACE_NAME).exists():
        return _HuggingFace(directory / HUGGING_FACE_NAME)
    return None
