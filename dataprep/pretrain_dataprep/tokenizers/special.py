"""Finding the special tokens of a tokenizer by the texts that libraries and models give them."""

from __future__ import annotations

import re
from collections.abc import Mapping

from pretrain_api.names import (
    CLASSIFICATION_TOKEN,
    FIM_MIDDLE_TOKEN,
    FIM_PAD_TOKEN,
    FIM_PREFIX_TOKEN,
    FIM_SUFFIX_TOKEN,
    MASK_TOKEN,
    MODE_TOKENS,
    SEPARATOR_TOKEN,
    sentinel_token,
)
from pretrain_api.wire import SpecialTokens

_ROLES: dict[str, tuple[str, ...]] = {
    "pad": ("<pad>", "[PAD]", "<|pad|>", "<|padding|>", "<|endoftext|>"),
    "unk": ("<unk>", "[UNK]"),
    "bos": ("<s>", "<bos>", "<|begin_of_text|>", "<|startoftext|>"),
    "eos": ("</s>", "<eos>", "<|endoftext|>", "<|end_of_text|>"),
}
_ALIASES: dict[str, tuple[str, ...]] = {
    MASK_TOKEN: ("<mask>", "<|mask|>"),
    CLASSIFICATION_TOKEN: (),
    SEPARATOR_TOKEN: (),
    FIM_PREFIX_TOKEN: ("<|fim_prefix|>", "<fim-prefix>", "<PRE>"),
    FIM_MIDDLE_TOKEN: ("<|fim_middle|>", "<fim-middle>", "<MID>"),
    FIM_SUFFIX_TOKEN: ("<|fim_suffix|>", "<fim-suffix>", "<SUF>"),
    FIM_PAD_TOKEN: ("<|fim_pad|>", "<fim-pad>"),
    **dict.fromkeys(MODE_TOKENS.values(), ()),
}
"""Our names, and those of well-known models for the same."""
_SENTINEL = re.compile(r"<extra_id_(\d+)>")


def special_tokens(ids: Mapping[str, int], named: Mapping[str, str]) -> SpecialTokens:
    """Return the tokens that pad, begin and end.

    Args:
        ids: Ids of all special tokens by text.
        named: Text by role (pad, unk, bos, eos), where the tokenizer says so.
    """
    found = {}
    for role, texts in _ROLES.items():
        candidates = (named[role],) if role in named else texts
        found[role] = next((ids[text] for text in candidates if text in ids), None)
    return SpecialTokens(**found)


def reserved(ids: Mapping[str, int], named: Mapping[str, str]) -> dict[str, int]:
    """Return the ids of the tokens that objectives need, by our texts, in the order of the ids.

    Args:
        ids: Ids of all special tokens by text.
        named: Text by role (mask, cls, sep), where the tokenizer says so.
    """
    roles = {MASK_TOKEN: "mask", CLASSIFICATION_TOKEN: "cls", SEPARATOR_TOKEN: "sep"}
    found = {}
    for text, aliases in _ALIASES.items():
        own = (named[roles[text]],) if roles.get(text) in named else ()
        known = next((each for each in (*own, text, *aliases) if each in ids), None)
        if known is not None:
            found[text] = ids[known]
    numbers = sorted(int(match[1]) for match in map(_SENTINEL.fullmatch, ids) if match)
    found |= {sentinel_token(number): ids[sentinel_token(number)] for number in numbers}
    return dict(sorted(found.items(), key=lambda item: item[1]))
