"""Token files to read: random text of as many documents as is asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pretrain_api.names import (
    CLASSIFICATION_TOKEN,
    FIM_MIDDLE_TOKEN,
    FIM_PREFIX_TOKEN,
    FIM_SUFFIX_TOKEN,
    MASK_TOKEN,
    MODE_TOKENS,
    SEPARATOR_TOKEN,
    sentinel_token,
)
from pretrain_api.wire import Blend, BlendPair, BlendPhase, BlendSource, SpecialTokens
from pretrain_trainer.objectives.vocabulary import Vocabulary

VOCABULARY_SIZE, PAD, END, FIRST_WORD = 32_000, 0, 3, 1_000
_NAMES = (
    MASK_TOKEN,
    CLASSIFICATION_TOKEN,
    SEPARATOR_TOKEN,
    FIM_PREFIX_TOKEN,
    FIM_MIDDLE_TOKEN,
    FIM_SUFFIX_TOKEN,
    *MODE_TOKENS.values(),
    *map(sentinel_token, range(500)),
)
RESERVED = {name: 4 + number for number, name in enumerate(_NAMES)}


def vocabulary() -> Vocabulary:
    """Return a vocabulary in which two tokens of three begin a word and one of twenty ends a sentence."""
    tokens = np.arange(VOCABULARY_SIZE)
    special = tokens < FIRST_WORD
    return Vocabulary(VOCABULARY_SIZE, END, PAD, RESERVED, special, tokens % 3 > 0, (tokens % 20 == 0) & ~special)


def write_corpus(folder: Path, documents: int, tokens_a_document: int, *, sparse: bool = False) -> Blend:
    """Write a pair of token files and return the blend that names it.

    Args:
        folder: Where to write.
        documents: Number of documents.
        tokens_a_document: Their length.
        sparse: Leave the tokens zero, in a file that takes no space on the disk.
    """
    size = documents * tokens_a_document
    path = folder / "text.train.bin"
    if sparse:
        with path.open("wb") as file:
            file.truncate(2 * size)
    else:
        tokens = np.random.default_rng(1).integers(FIRST_WORD, VOCABULARY_SIZE, size).astype(np.uint16)
        tokens[tokens_a_document - 1 :: tokens_a_document] = END
        tokens.tofile(path)
    with (folder / "text.train.idx").open("wb") as file:
        file.write(b"MMIDIDX\x00\x00" + (1).to_bytes(8, "little") + b"\x08")
        file.write(documents.to_bytes(8, "little") + (documents + 1).to_bytes(8, "little"))
        np.full(documents, tokens_a_document, dtype=np.int32).tofile(file)
        (np.arange(documents, dtype=np.int64) * tokens_a_document * 2).tofile(file)
        np.arange(documents + 1, dtype=np.int64).tofile(file)
    pair = BlendPair(train="text.train", train_tokens=size, train_documents=documents)
    return Blend(
        fingerprint="benchmark",
        dtype="uint16",
        vocab_size=VOCABULARY_SIZE,
        tokenizer="tokenizer",
        special_tokens=SpecialTokens(pad=PAD, eos=END),
        reserved_tokens=RESERVED,
        sources=[BlendSource(name="text", train_tokens=size, train_documents=documents, pairs=[pair])],
        phases=[BlendPhase(from_tokens=0, weights={"text": 1.0})],
    )
