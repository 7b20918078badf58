"""What a SentencePiece model says of how it encodes, read without protobuf's library.

Field numbers are those of sentencepiece_model.proto; protobuf's encoding is described at
https://protobuf.dev/programming-guides/encoding/.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

BPE = 2
_TRAINER, _NORMALIZER = 2, 3
_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5

WITHOUT_DUMMY_PREFIX = b"\x1a\x02\x18\x00"
"""Appended to a model it puts no space before a text: a later message of the normaliser is merged into the first."""


@dataclass(frozen=True)
class EncodingFacts:
    """How a model encodes; the defaults are those of the format."""

    model_type: int = 1
    byte_fallback: bool = False
    charsmap: bytes = b""
    """What characters are replaced by; empty: none are."""
    add_dummy_prefix: bool = True
    remove_extra_whitespaces: bool = True
    escape_whitespaces: bool = True


def encoding_facts(model: bytes) -> EncodingFacts:
    """Read a serialised model. Raises ValueError if it isn't one."""
    messages: dict[int, dict[int, int | bytes]] = {_TRAINER: {}, _NORMALIZER: {}}
    for number, value in _fields(model):
        if number in messages and isinstance(value, bytes):
            messages[number].update(_fields(value))
    trainer, normalizer = messages[_TRAINER], messages[_NORMALIZER]
    charsmap = normalizer.get(2, b"")
    return EncodingFacts(
        model_type=int(trainer.get(3, 1)),
        byte_fallback=bool(trainer.get(35, False)),
        charsmap=charsmap if isinstance(charsmap, bytes) else b"",
        add_dummy_prefix=bool(normalizer.get(3, True)),
        remove_extra_whitespaces=bool(normalizer.get(4, True)),
        escape_whitespaces=bool(normalizer.get(5, True)),
    )


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield number and value of each field of a message."""
    position = 0
    while position < len(message):
        key, position = _varint(message, position)
        kind = key & 7
        if kind == _VARINT:
            value, position = _varint(message, position)
            yield key >> 3, value
            continue
        if kind == _LENGTH:
            size, position = _varint(message, position)
        elif kind in (_FIXED64, _FIXED32):
            size = 8 if kind == _FIXED64 else 4
        else:
            raise ValueError(f"a field of type {kind} at byte {position}")
        if position + size > len(message):
            raise ValueError(f"a field of {size} bytes at byte {position} of {len(message)}")
        yield key >> 3, message[position : position + size]
        position += size


def _varint(message: bytes, position: int) -> tuple[int, int]:
    """Return a number, and where the next field begins."""
    value = shift = 0
    while True:
        if position >= len(message):
            raise ValueError(f"cut at byte {position}")
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
