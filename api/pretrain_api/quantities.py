"""Token quantities as people write them: 256Ki, 4M, 1.4T.

K, M, B and T are decimal, Ki, Mi and Gi binary (as in Kubernetes' resource quantities, with B for
billions instead of G: the field counts tokens in billions).
"""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

_SUFFIXES: dict[str, int] = {
    "": 1,
    "K": 10**3,
    "M": 10**6,
    "B": 10**9,
    "T": 10**12,
    "Ki": 2**10,
    "Mi": 2**20,
    "Gi": 2**30,
}
TOKEN_QUANTITY_PATTERN = r"^[0-9]+(\.[0-9]+)?(K|M|B|T|Ki|Mi|Gi)?$"
_TOKEN_QUANTITY = re.compile(r"([0-9]{1,30}(?:\.[0-9]{1,30})?)(K|M|B|T|Ki|Mi|Gi)?")
MAX_TOKENS = 2**63 - 1
_ACCEPTED = "write a whole number or a quantity such as 256Ki, 4M, 1.4T (K, M, B, T decimal; Ki, Mi, Gi binary)"
_LOOSE_QUANTITY = re.compile(r"([0-9]{1,30}(?:\.[0-9]{1,30})?(?:e\+?[0-9]{1,2})?)([a-z]*)")
_LOOSE_SUFFIXES: dict[str, str] = {
    **{suffix.lower(): suffix for suffix in _SUFFIXES},
    "g": "B",
    "bn": "B",
    **{f"{prefix}b": suffix for prefix, suffix in (("k", "K"), ("m", "M"), ("g", "B"), ("t", "T"))},
    **{f"{suffix.lower()}b": suffix for suffix in ("Ki", "Mi", "Gi")},
    **{f"{prefix}{unit}": prefix.upper() for prefix in ("k", "m", "b", "t", "") for unit in ("tok", "tokens")},
}


def parse_tokens(value: object) -> int:
    """Return the number of tokens that `value` stands for.

    Args:
        value: An integer, or text such as "256Ki", "4M" or "1.4T".

    Raises:
        ValueError: `value` isn't a quantity, isn't a whole number of tokens, or is out of range.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"{_shown(value)} is not a number of tokens; {_ACCEPTED}")
    if isinstance(value, float):
        if not value.is_integer():
            raise ValueError(f"{value!r} is not a whole number of tokens; {_ACCEPTED}")
        value = int(value)
    tokens = value if isinstance(value, int) else _parse_text(value)
    if not 0 <= tokens <= MAX_TOKENS:
        raise ValueError(f"{_shown(value)} is out of range; tokens are counted from 0 to {MAX_TOKENS}")
    return tokens


def _shown(value: object) -> str:
    if isinstance(value, str):
        cut = value if len(value) <= 40 else f"{value[:39]}…"
        return f"'{cut}'" if cut.isprintable() else json.dumps(cut)
    return json.dumps(value) if isinstance(value, int | None) else "this"


def _parse_text(text: str) -> int:
    match = _TOKEN_QUANTITY.fullmatch(text)
    if match is None:
        raise ValueError(f"{_shown(text)} is not a number of tokens; {_did_you_mean(text)}{_ACCEPTED}")
    number, suffix = match.groups()
    tokens = Decimal(number) * _SUFFIXES[suffix or ""]
    if tokens != tokens.to_integral_value():
        raise ValueError(f"{_shown(text)} is not a whole number of tokens; {_ACCEPTED}")
    return int(tokens)


def _did_you_mean(text: str) -> str:
    suggestion = suggest_tokens(text)
    return f"did you mean {suggestion}? " if suggestion is not None else ""


def suggest_tokens(text: str) -> str | None:
    """Return the quantity that `text` was most likely meant to be ("10 M", "4m", "1e9", "2_000", "256KiB"); None:
    that can't be said."""
    folded = re.sub(r"[\s_,]", "", text.lower())
    match = _LOOSE_QUANTITY.fullmatch(folded)
    if match is None or match[2] not in _LOOSE_SUFFIXES:
        return None
    suffix = _LOOSE_SUFFIXES[match[2]]
    tokens = Decimal(match[1]) * _SUFFIXES[suffix]
    if tokens != tokens.to_integral_value() or not 0 <= tokens <= MAX_TOKENS:
        return None
    return f"{match[1]}{suffix}" if match[1].isdigit() else format_tokens(int(tokens))


def format_tokens(tokens: int) -> str:
    """Return the shortest exact quantity for `tokens`, such as "256Ki" or "1.4T"."""
    candidates = [str(tokens)]
    for suffix, factor in _SUFFIXES.items():
        if suffix and tokens >= factor:
            quotient = Decimal(tokens) / factor
            if quotient == quotient.quantize(Decimal("0.001")):
                candidates.append(f"{quotient.normalize():f}{suffix}")
    return min(candidates, key=lambda text: (len(text), text))


def humanize_tokens(tokens: float) -> str:
    """Return a rounded decimal quantity for people, such as "1.23M"."""
    for suffix in ("T", "B", "M", "K"):
        if tokens >= _SUFFIXES[suffix]:
            return f"{tokens / _SUFFIXES[suffix]:.3g}{suffix}"
    return f"{tokens:.0f}"


def humanize_seconds(seconds: float) -> str:
    """Return a duration for people in its two largest units, such as "2h 3m"."""
    whole = round(seconds)
    units = (("d", whole // 86_400), ("h", whole // 3600 % 24), ("m", whole // 60 % 60), ("s", whole % 60))
    first = next((index for index, (_, count) in enumerate(units) if count), len(units) - 1)
    return " ".join(f"{count}{unit}" for unit, count in units[first : first + 2] if count or len(units) - 1 == first)


_SCHEMA: dict[str, Any] = {
    "anyOf": [{"type": "integer"}, {"type": "string"}],
    "x-kubernetes-int-or-string": True,
    "pattern": TOKEN_QUANTITY_PATTERN,
}

TokenCount = Annotated[int, BeforeValidator(parse_tokens), WithJsonSchema({**_SCHEMA, "minimum": 0}, mode="validation")]
"""A number of tokens, zero allowed; accepts quantities such as "4M"."""

PositiveTokenCount = Annotated[
    int, Field(gt=0), BeforeValidator(parse_tokens), WithJsonSchema({**_SCHEMA, "minimum": 1}, mode="validation")
]
"""A number of tokens of at least one; accepts quantities such as "4M"."""
