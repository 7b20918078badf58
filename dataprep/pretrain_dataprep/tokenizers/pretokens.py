"""Encoding by pre-tokens: parts of a text that no token reaches beyond, each given to the library once.

A library's work on a text is the sum of its work on the parts, and most parts have been seen before: words, marks,
numbers. So the tokens are the library's own, and the time is that of a look into a table. That there is no token across
a cut is known from pairs of bytes: a text is cut between two that never stand side by side in a token, or never in a
match of the pattern that the library cuts by itself.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Iterable, Sequence
from itertools import chain

import numpy as np

from pretrain_dataprep.kernels.pretokens import count_tokens, fill_slots, find_pretokens, write_tokens
from pretrain_dataprep.text.batch import TextBatch
from pretrain_dataprep.tokenizers.interface import TokenBatch

MOST_PRETOKENS = 1 << 19
MOST_KEY_BYTES = 32 << 20
"""What is remembered from batch to batch: some 60 MB."""
_CONTINUATION = slice(0x80, 0xC0)
"""Bytes inside a character."""
_LETTERS_AND_DIGITS = (string.ascii_letters + string.digits).encode()
_MARKS = string.punctuation.encode()
_SPACE_ENDS = bytes([0x85, 0xA0, *range(0x80, 0x8B), 0xA8, 0xA9, 0xAF, 0x9F])
"""Last bytes of the characters beyond ASCII that are white space: U+0085, U+00A0, U+1680, U+2000–U+200A, …"""


def joined_in_pieces(pieces: Iterable[bytes]) -> np.ndarray:
    """Return which bytes stand side by side in a piece, or in a character: bool, shape (256, 256)."""
    between = 0xFF  # no byte of UTF-8
    joined = np.zeros((256, 256), bool)
    content = np.frombuffer(bytes([between]).join(pieces), np.uint8)
    joined[content[:-1], content[1:]] = True
    joined[between, :] = joined[:, between] = False
    joined[:, _CONTINUATION] = True
    return joined


def joined_in_words() -> np.ndarray:
    """Return which bytes may be side by side in a match of the patterns of byte-level BPE and BERT: bool, (256, 256).

    All of GPT-2's, cl100k's, o200k's, Llama 3's and Qwen's end a match before a space or tab, except after white space;
    and between an ASCII letter or digit and an ASCII mark other than an apostrophe, or a line end.
    """
    joined = np.ones((256, 256), bool)
    after_words = [*_MARKS, *b"\r\n"]
    after_words.remove(ord("'"))
    for byte in _LETTERS_AND_DIGITS:
        joined[byte, after_words] = False
    others = [byte for byte in range(0x80, 0xF8) if byte not in _SPACE_ENDS]
    for byte in (*_LETTERS_AND_DIGITS, *_MARKS, *others):
        joined[byte, [*b" \t"]] = False
    return joined


class PretokenEncoder:
    """Encodes by pre-tokens, and remembers them."""

    def __init__(self, joined: np.ndarray, encode: Callable[[list[str]], Sequence[Sequence[int]]]) -> None:
        """Remember nothing yet.

        Args:
            joined: Where a text isn't cut: bool, shape (256, 256), by the bytes before and after.
            encode: The library's work on many pre-tokens.
        """
        self._is_joined = np.ascontiguousarray(joined).reshape(-1)
        self._encode = encode
        self._forget()

    def _forget(self) -> None:
        self._known = np.zeros(1, np.int64)
        self._slots = np.zeros(1 << 14, np.uint64)
        self._hashes = np.empty(len(self._slots) // 2, np.uint64)
        self._key_ends = np.zeros(len(self._hashes) + 1, np.int64)
        self._keys = np.empty(1 << 17, np.uint8)
        self._tokens = np.empty(0, np.int32)
        self._token_ends = np.zeros(1, np.int64)

    def encode(self, batch: TextBatch) -> TokenBatch:
        """Return the tokens of documents."""
        if self._known[0] > MOST_PRETOKENS or self._key_ends[self._known[0]] > MOST_KEY_BYTES:
            self._forget()
        before = int(self._known[0])
        found, found_ends = self._find(batch)
        self._learn(before)
        tokens = np.empty(count_tokens(found, self._token_ends), np.int32)
        ends = np.empty(len(batch), np.int64)
        write_tokens(found, found_ends, self._tokens, self._token_ends, tokens, ends)
        return TokenBatch(tokens, ends)

    def _find(self, batch: TextBatch) -> tuple[np.ndarray, np.ndarray]:
        """Return the numbers of pre-tokens (int32), and where each document's end (int64, shape (documents,))."""
        found = np.empty(len(batch.text), np.int32)
        ends = np.zeros(len(batch), np.int64)
        done = 0
        while True:
            table = (self._slots, self._hashes, self._keys, self._key_ends, self._known)
            done = find_pretokens(batch.text, batch.offsets, done, self._is_joined, *table, found, ends)
            if done == len(batch):
                return found[: ends[-1] if len(ends) else 0], ends
            self._grow(int(batch.offsets[done + 1] - batch.offsets[done]))

    def _grow(self, document_bytes: int) -> None:
        """Make room for twice as much, and for a document."""
        known = int(self._known[0])
        self._slots = np.zeros(2 * len(self._slots), np.uint64)
        self._hashes = _extended(self._hashes, len(self._slots) // 2)
        self._key_ends = _extended(self._key_ends, len(self._hashes) + 1)
        self._keys = _extended(self._keys, 2 * len(self._keys) + document_bytes)
        fill_slots(self._hashes[:known], self._slots)

    def _learn(self, first: int) -> None:
        """Encode the pre-tokens from number `first` on."""
        key_ends = self._key_ends[first : self._known[0] + 1]
        if len(key_ends) == 1:
            return
        new = TextBatch(self._keys[key_ends[0] : key_ends[-1]], key_ends - key_ends[0])
        try:
            ids = self._encode(new.as_column().to_pylist())
        except BaseException:
            self._forget()
            raise
        sizes = np.fromiter(map(len, ids), np.int64, len(ids))
        self._tokens = np.concatenate([self._tokens, np.fromiter(chain.from_iterable(ids), np.int32, sizes.sum())])
        self._token_ends = np.concatenate([self._token_ends, self._token_ends[-1] + np.cumsum(sizes)])


def _extended(array: np.ndarray, size: int) -> np.ndarray:
    longer = np.empty(size, array.dtype)
    longer[: len(array)] = array
    return longer
