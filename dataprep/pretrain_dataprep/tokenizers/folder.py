"""data/tokenizer/: what is in it, whether it is whole, and loading it.

tokenizer.model                          a SentencePiece model; or
tokenizer.json, tokenizer_config.json    a tokenizer of Hugging Face's library; or
encoding.json, tokenizer.json            a tiktoken encoding, and the same for Hugging Face's library
description.json                         kind, size, ids of special and reserved tokens
"""

from __future__ import annotations

from pathlib import Path

from pretrain_api.names import Component
from pretrain_api.resolve import content_hash
from pretrain_api.wire import StorageLayout
from pretrain_dataprep.folders import read_folder
from pretrain_dataprep.manifests import Input
from pretrain_dataprep.tokenizers.huggingface import TOKENIZER_NAME, HuggingFaceTokenizer
from pretrain_dataprep.tokenizers.interface import Tokenizer
from pretrain_dataprep.tokenizers.sentencepiece_model import MODEL_NAME, SentencePieceTokenizer
from pretrain_dataprep.tokenizers.tiktoken_encoding import ENCODING_NAME, TiktokenTokenizer

DESCRIPTION_NAME = "description.json"


def load_tokenizer(folder: Path) -> Tokenizer:
    """Load the tokenizer that `folder` holds.

    Raises:
        InputError: A file can't be read.
        FileNotFoundError: It holds none.
    """
    if (folder / MODEL_NAME).exists():
        return SentencePieceTokenizer(folder / MODEL_NAME)
    if (folder / ENCODING_NAME).exists():
        return TiktokenTokenizer(folder)
    if (folder / TOKENIZER_NAME).exists():
        return HuggingFaceTokenizer(folder)
    raise FileNotFoundError(folder / TOKENIZER_NAME)


def tokenizer_input(layout: StorageLayout) -> Input:
    """Return the tokenizer as an input. Raises MissingOutputError if it isn't there as its manifest says."""
    manifest = read_folder(layout.tokenizer, Component.TOKENIZER)
    outputs = {output.path: output for output in manifest.outputs}
    if MODEL_NAME in outputs:  # it says all about itself
        model = outputs[MODEL_NAME]
        return Input(f"data/tokenizer/{MODEL_NAME}", model.size, model.xxh3)
    size = sum(output.size for output in manifest.outputs)
    return Input("data/tokenizer", size, content_hash([[output.path, output.xxh3] for output in manifest.outputs]))
