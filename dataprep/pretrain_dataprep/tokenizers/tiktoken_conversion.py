"""A tiktoken encoding as Hugging Face's `tokenizers` reads it: what trainers and the exported model need.

Byte-level BPE whose bytes are written as letters (GPT-2's table); a piece that is a token as it is isn't cut further.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

_PRINTABLE = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
_POSSESSIVE_COUNT = re.compile(r"(\{\d*,?\d*\})\+")


@cache
def _letters() -> dict[int, str]:
    """Return the letter that stands for each byte: itself where it prints, else one from U+0100 on."""
    others = [byte for byte in range(256) if byte not in _PRINTABLE]
    return {byte: chr(byte) for byte in _PRINTABLE} | {byte: chr(256 + place) for place, byte in enumerate(others)}


def as_letters(token: bytes) -> str:
    """Return the letters that stand for bytes."""
    letters = _letters()
    return "".join(letters[byte] for byte in token)


def parts_of(token: bytes, ranks: dict[bytes, int]) -> tuple[bytes, bytes] | None:
    """Return the two tokens that BPE joins to `token` last; None: it comes from no join."""
    parts = [bytes([byte]) for byte in token]
    limit = ranks[token]
    while len(parts) > 2:
        joined = [ranks.get(parts[at] + parts[at + 1], limit) for at in range(len(parts) - 1)]
        best = min(joined)
        if best >= limit:
            return None
        at = joined.index(best)
        parts[at : at + 2] = [parts[at] + parts[at + 1]]
    return (parts[0], parts[1]) if len(parts) == 2 else None


def tokenizer_json(encoding: dict[str, Any]) -> dict[str, Any]:
    """Return the content of tokenizer.json.

    Args:
        encoding: As of `tiktoken_encoding.read_encoding`.
    """
    ranks: dict[bytes, int] = encoding["mergeable_ranks"]
    order = sorted(ranks, key=lambda token: ranks[token])
    special = sorted((number, text) for text, number in encoding["special_tokens"].items())
    pairs = [parts_of(token, ranks) for token in order if len(token) > 1]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [_added(number, text) for number, text in special],
        "normalizer": None,
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [
                {
                    "type": "Split",
                    "pattern": {"Regex": oniguruma(encoding["pat_str"])},
                    "behavior": "Isolated",
                    "invert": False,
                },
                {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False},
            ],
        },
        "post_processor": None,
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": True,
            "vocab": {as_letters(token): ranks[token] for token in order},
            "merges": [[as_letters(left), as_letters(right)] for left, right in filter(None, pairs)],
        },
    }


def oniguruma(pattern: str) -> str:
    """Return the pattern for the engine of `tokenizers`, where `{1,3}+` would repeat, and `$` is the end of a line."""
    return _POSSESSIVE_COUNT.sub(r"\1", pattern).replace("$", r"\z")


def _added(number: int, text: str) -> dict[str, Any]:
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    return {"id": number, "content": text, **flags}
