"""Tokenizers trained on the corpus, and the bare library's speed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from benchmarks.dataprep.ours import least
from pretrain_api.spec.data import TrainTokenizer
from pretrain_dataprep.tokenizers.sentencepiece_model import MODEL_NAME
from pretrain_dataprep.tokenizers.training import train_tokenizer

PIECES = 16_000
_AT_A_TIME = 64


def train_sentencepiece(texts: list[str], path: Path) -> Path:
    """Train SentencePiece BPE as a job does; return its model."""
    train_tokenizer(TrainTokenizer(vocab_size=PIECES), (), [text.encode() for text in texts], path.parent)
    return (path.parent / MODEL_NAME).rename(path)


def train_huggingface(texts: list[str], path: Path) -> Path:
    """Train a byte-level BPE; return its file."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=PIECES, special_tokens=["</s>"]))
    tokenizer.save(str(path))
    return path


def bare_encoding_seconds(model: Path, texts: list[str]) -> float:
    """Measure the library alone: CPU seconds from strings to lists of tokens, on one thread."""
    encode_some = _sentencepiece(model) if model.suffix == ".model" else _huggingface(model)

    def encode() -> None:
        for first in range(0, len(texts), _AT_A_TIME):
            encode_some(texts[first : first + _AT_A_TIME])

    return least(encode, repeats=3)


def _sentencepiece(model: Path) -> Callable[[list[str]], list[list[int]]]:
    import sentencepiece

    processor = sentencepiece.SentencePieceProcessor(model_file=str(model))
    return lambda texts: processor.encode(texts, num_threads=1)


def _huggingface(model: Path) -> Callable[[list[str]], list[list[int]]]:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(model))
    return lambda texts: [encoding.ids for encoding in tokenizer.encode_batch_fast(texts, add_special_tokens=False)]
