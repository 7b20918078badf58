"""A SentencePiece model as Hugging Face's `tokenizers` reads it: tokenizer.json, beside the model itself.

With tokenizer.json nobody who loads the export needs sentencepiece or protobuf.
"""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pretrain_api.names import CLASSIFICATION_TOKEN, MASK_TOKEN, SEPARATOR_TOKEN
from pretrain_api.wire import SpecialTokens

if TYPE_CHECKING:
    from sentencepiece import SentencePieceProcessor

SPACE = "\u2581"
"""Stands for a space in SentencePiece's pieces."""
_ROLES = {"cls": CLASSIFICATION_TOKEN, "sep": SEPARATOR_TOKEN, "mask": MASK_TOKEN}
_NEVER = -1e6
"""Score of pieces that no text becomes."""
_PROBE = "a  B\u00e9\u2460 "  # changed by every normalisation that is not the identity
logger = logging.getLogger(__name__)


def export_tokenizer(source: Path, directory: Path, special: SpecialTokens, max_length: int) -> None:
    """Write tokenizer.model where there is one, tokenizer.json and tokenizer_config.json to `directory`.

    Args:
        source: Directory with tokenizer.model or tokenizer.json; where there is none, nothing is written.
        directory: Where to write.
        special: Ids of the special tokens.
        max_length: Tokens a sequence.
    """
    model = source / "tokenizer.model"
    if not model.exists() and (source / "tokenizer.json").exists():
        _export_fast(source, directory, special, max_length)
        return
    if not model.exists():
        logger.warning("%s: does not exist; the model is exported without a tokenizer, and writes no samples", model)
        return
    import sentencepiece

    pieces = sentencepiece.SentencePieceProcessor(model_file=str(model))
    shutil.copyfile(model, directory / "tokenizer.model")
    names = {
        f"{name}_token": pieces.id_to_piece(token) for name, token in special.model_dump().items() if token is not None
    }
    prefix = pieces.normalize("a") == SPACE + "a"
    config = {
        # Not LlamaTokenizer: it puts no space before a text that begins with one.
        "tokenizer_class": "PreTrainedTokenizerFast",
        "add_bos_token": False,
        "add_eos_token": False,
        "add_prefix_space": prefix,
        "legacy": False,
        "clean_up_tokenization_spaces": False,
        "model_max_length": max_length,
    }
    names |= {f"{role}_token": text for role, text in _ROLES.items() if pieces.is_control(pieces.piece_to_id(text))}
    _write_json(directory / "tokenizer_config.json", config | names)
    if normalizes(pieces):
        logger.warning("%s normalises text: tokenizer.json is left out, tokenizer.model is exported", model)
        return
    _write_json(directory / "tokenizer.json", fast_tokenizer(pieces, prefix))


def _export_fast(source: Path, directory: Path, special: SpecialTokens, max_length: int) -> None:
    """Copy a tokenizer of Hugging Face's library; what it doesn't say about itself is added."""
    from tokenizers import Tokenizer

    shutil.copyfile(source / "tokenizer.json", directory / "tokenizer.json")
    tokenizer = Tokenizer.from_file(str(source / "tokenizer.json"))
    names = {
        f"{name}_token": tokenizer.id_to_token(token)
        for name, token in special.model_dump().items()
        if token is not None
    }
    config: dict[str, Any] = {"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": False}
    given = source / "tokenizer_config.json"
    if given.exists():
        config |= json.loads(given.read_bytes())
    _write_json(directory / "tokenizer_config.json", {**names, **config, "model_max_length": max_length})
    if (source / "special_tokens_map.json").exists():
        shutil.copyfile(source / "special_tokens_map.json", directory / "special_tokens_map.json")


def normalizes(pieces: SentencePieceProcessor) -> bool:
    """Return whether the model changes text before it cuts it, but for spaces and a space in front."""
    normalized: str = pieces.normalize(_PROBE)
    return normalized.removeprefix(SPACE) != _PROBE.replace(" ", SPACE)


def scores_are_ranks(pieces: SentencePieceProcessor) -> bool:
    """Return whether this is BPE: its scores are 0, -1, -2…, those of a unigram model are log-probabilities."""
    scores = [pieces.get_score(token) for token in _plain_pieces(pieces)]
    return all(score == -rank for rank, score in enumerate(scores))


def _plain_pieces(pieces: SentencePieceProcessor) -> list[int]:
    return [
        token
        for token in range(pieces.get_piece_size())
        if not (
            pieces.is_byte(token) or pieces.is_control(token) or pieces.is_unknown(token) or pieces.is_unused(token)
        )
    ]


def fast_tokenizer(pieces: SentencePieceProcessor, prefix: bool) -> dict[str, Any]:
    """Return the content of tokenizer.json.

    Args:
        pieces: A model without normalisation: BPE, or unigram (where several ways to cut a text are equally likely, the
            libraries may take different ones).
        prefix: Whether a space is put in front of the text.
    """
    size = pieces.get_piece_size()
    special = [token for token in range(size) if pieces.is_control(token) or pieces.is_unknown(token)]
    escape = [{"type": "Replace", "pattern": {"String": " "}, "content": SPACE}]
    unescape: list[dict[str, Any]] = [
        {"type": "Replace", "pattern": {"String": SPACE}, "content": " "},
        {"type": "ByteFallback"},
        {"type": "Fuse"},
    ]
    if prefix:
        escape.insert(0, {"type": "Prepend", "prepend": SPACE})
        unescape.append({"type": "Strip", "content": " ", "start": 1, "stop": 0})
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [_special_token(token, pieces.id_to_piece(token)) for token in special],
        "normalizer": {"type": "Sequence", "normalizers": escape},
        "pre_tokenizer": None,
        "post_processor": None,
        "decoder": {"type": "Sequence", "decoders": unescape},
        "model": _bpe(pieces) if scores_are_ranks(pieces) else _unigram(pieces),
    }


def _has_bytes(pieces: SentencePieceProcessor) -> bool:
    return any(pieces.is_byte(token) for token in range(pieces.get_piece_size()))


def _bpe(pieces: SentencePieceProcessor) -> dict[str, Any]:
    vocabulary = {pieces.id_to_piece(token): token for token in range(pieces.get_piece_size())}
    return {
        "type": "BPE",
        "dropout": None,
        "unk_token": pieces.id_to_piece(pieces.unk_id()),
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "fuse_unk": True,
        "byte_fallback": _has_bytes(pieces),
        "ignore_merges": False,
        "vocab": vocabulary,
        "merges": merges(pieces, vocabulary),
    }


def _unigram(pieces: SentencePieceProcessor) -> dict[str, Any]:
    plain = set(_plain_pieces(pieces))
    vocabulary = [
        (pieces.id_to_piece(token), pieces.get_score(token) if token in plain else _NEVER)
        for token in range(pieces.get_piece_size())
    ]
    return {"type": "Unigram", "unk_id": pieces.unk_id(), "byte_fallback": _has_bytes(pieces), "vocab": vocabulary}


def merges(pieces: SentencePieceProcessor, vocabulary: dict[str, int]) -> list[tuple[str, str]]:
    """Return the pairs that BPE joins, first the ones it joins first: by the rank of what they give.

    SentencePiece keeps pieces and ranks, no pairs: any two pieces that give a third one are joined.
    """
    found: list[tuple[str, str]] = []
    for token in _plain_pieces(pieces):
        piece = pieces.id_to_piece(token)
        splits = [(piece[:cut], piece[cut:]) for cut in range(1, len(piece))]
        known = [(left, right) for left, right in splits if left in vocabulary and right in vocabulary]
        found += sorted(known, key=lambda pair: (vocabulary[pair[0]], vocabulary[pair[1]]))
    return found


def _special_token(token: int, content: str) -> dict[str, Any]:
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    return {"id": token, "content": content, **flags}


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
