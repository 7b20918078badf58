"""What a word is, and the hash of one.

A **word** is a maximal run of word characters. Word characters are ASCII letters, digits and the underscore, and every
non-ASCII character but those that Unicode's blocks set aside for spaces, punctuation, symbols, box drawing, emoji and
private use (`kernels.words.character_class` lists the ranges). An apostrophe (' or ’) between a word character and a
letter belongs to the word. Scripts that are written without spaces between words (Han, kana, Thai, Lao, Myanmar, Khmer)
make one word of each character; such words say nothing about word length and are left out of it.

The hash of a word is FNV-1a with 64 bits over its code points in lower case, mixed by MurmurHash3's finalizer. Lower
case is that of ASCII, Latin-1, Greek and Cyrillic letters.
"""

from __future__ import annotations

import numpy as np

from pretrain_dataprep.kernels.words import write_words


def words_of(text: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return hashes (uint64), characters (int32) and classes (uint8) of the words of a text."""
    buffer = np.frombuffer(text.encode(), np.uint8)
    room = len(buffer) + 1
    hashes, lengths, kinds = np.empty(room, np.uint64), np.empty(room, np.int32), np.empty(room, np.uint8)
    count = write_words(buffer, hashes, lengths, kinds)
    return hashes[:count], lengths[:count], kinds[:count]
