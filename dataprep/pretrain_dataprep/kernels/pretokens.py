"""Texts cut into pre-tokens, and the table of those seen before; `tokenizers.pretokens` says what they are."""

from __future__ import annotations

import numpy as np

from pretrain_dataprep.compiled import TEXT, compiled, inlined
from pretrain_dataprep.kernels.words import mix64

_FNV_OFFSET = np.uint64(0xCBF29CE484222325)
_FNV_PRIME = np.uint64(0x100000001B3)
_TAG = np.uint64(0xFFFFFFFF00000000)
"""The bits of a slot that are of the key's hash; the others are the pre-token's number and one more. 0: it is empty."""


@inlined
def _is_key(text, start, end, keys, key_ends, known):
    first = key_ends[known]
    if key_ends[known + 1] - first != end - start:
        return False
    for place in range(end - start):
        if keys[first + place] != text[start + place]:
            return False
    return True


@inlined
def _slot_of(text, start, end, state, slots, keys, key_ends):
    """Return the slot of a pre-token with hash `state`, or the empty one where it would be."""
    mask = np.uint64(len(slots) - 1)
    slot = np.int64(state & mask)
    while slots[slot] != 0:
        if (slots[slot] ^ state) & _TAG == 0 and _is_key(
            text, start, end, keys, key_ends, np.int64(slots[slot] & ~_TAG) - 1
        ):
            break
        slot = np.int64(np.uint64(slot + 1) & mask)
    return slot


@compiled(
    f"int64({TEXT}, int64[::1], int64, Array(boolean, 1, 'C', readonly=True), uint64[::1], uint64[::1], uint8[::1],"
    " int64[::1], int64[::1], int32[::1], int64[::1])",
)
def find_pretokens(text, offsets, first, is_joined, slots, hashes, keys, key_ends, known, found, found_ends):
    """Write the numbers of the pre-tokens of documents from `first` on, and where each document's end; new ones are
    added. `known` holds how many are known. Returns the documents done: fewer than all where there is no more room.
    """
    count = found_ends[first - 1] if first > 0 else 0
    for document in range(first, len(offsets) - 1):
        position, end = offsets[document], offsets[document + 1]
        while position < end:
            start = position
            before = np.int64(text[position])
            state = (_FNV_OFFSET ^ np.uint64(before)) * _FNV_PRIME
            position += 1
            while position < end:
                after = np.int64(text[position])
                if not is_joined[(before << 8) | after]:
                    break
                state = (state ^ np.uint64(after)) * _FNV_PRIME
                before = after
                position += 1
            state = mix64(state)
            slot = _slot_of(text, start, position, state, slots, keys, key_ends)
            if slots[slot] == 0:
                number = known[0]
                size = key_ends[number]
                # Half of the slots stay empty.
                if 2 * number >= len(slots) or size + position - start > len(keys):
                    return document
                keys[size : size + position - start] = text[start:position]
                key_ends[number + 1] = size + position - start
                hashes[number] = state
                slots[slot] = (state & _TAG) | np.uint64(number + 1)
                known[0] = number + 1
            found[count] = np.int64(slots[slot] & ~_TAG) - 1
            count += 1
        found_ends[document] = count
    return len(offsets) - 1


@compiled("void(uint64[::1], uint64[::1])")
def fill_slots(hashes, slots):
    """Give each pre-token its slot in an empty table."""
    mask = np.uint64(len(slots) - 1)
    for number in range(len(hashes)):
        slot = np.int64(hashes[number] & mask)
        while slots[slot] != 0:
            slot = np.int64(np.uint64(slot + 1) & mask)
        slots[slot] = (hashes[number] & _TAG) | np.uint64(number + 1)


@compiled("int64(int32[::1], int64[::1])")
def count_tokens(found, token_ends):
    """Return the tokens of some pre-tokens; those of number i end at token_ends[i + 1]."""
    count = 0
    for number in found:
        count += token_ends[number + 1] - token_ends[number]
    return count


@compiled("void(int32[::1], int64[::1], int32[::1], int64[::1], int32[::1], int64[::1])")
def write_tokens(found, found_ends, tokens, token_ends, out, ends):
    """Write the tokens of documents one after the other, and where each document's end."""
    count = place = 0
    for document in range(len(found_ends)):
        while place < found_ends[document]:
            number = found[place]
            for token in range(token_ends[number], token_ends[number + 1]):
                out[count] = tokens[token]
                count += 1
            place += 1
        ends[document] = count
