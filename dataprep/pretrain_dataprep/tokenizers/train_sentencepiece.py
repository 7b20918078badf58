"""Training with SentencePiece.

Normalisation is the identity: the text is clean already, and decoding must give back what was encoded, whitespace and
all (as in LLaMA's tokenizer: digits are split, runs of spaces may be pieces, unknown characters fall back to bytes).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pretrain_dataprep.tokenizers.sentencepiece_model import MODEL_NAME
from pretrain_dataprep.tokenizers.train import sample

_MODEL_TYPES = {"sentencepiece-bpe": "bpe", "sentencepiece-unigram": "unigram"}


def train_sentencepiece(options: dict[str, Any], reserved: list[str], text: Path, folder: Path) -> None:
    """Train and write tokenizer.model. Raises RuntimeError with SentencePiece's message.

    Args:
        options: `spec.data.tokenizer.train`, as in YAML.
        reserved: Control symbols: no text becomes one of them. Their ids follow those of pad, unk, bos and eos.
        text: File of JSON strings, a line of text each.
        folder: Where to write.
    """
    import sentencepiece

    with (folder / MODEL_NAME).open("wb") as model:
        sentencepiece.SentencePieceTrainer.train(
            # An iterator, not a file name: that would be kept in the model, which must not depend on where we work.
            sentence_iterator=sample(text),
            model_writer=model,
            model_type=_MODEL_TYPES[options["algorithm"]],
            vocab_size=options["vocabSize"],
            character_coverage=options["characterCoverage"],
            byte_fallback=options["byteFallback"],
            control_symbols=reserved,
            pad_id=0,
            unk_id=1,
            bos_id=2,
            eos_id=3,
            normalization_rule_name="identity",
            remove_extra_whitespaces=False,
            split_digits=True,
            allow_whitespace_only_pieces=True,
            max_sentence_length=1 << 16,
            # More threads are no faster here, and the number is written into the model.
            num_threads=1,
            minloglevel=1,
        )
