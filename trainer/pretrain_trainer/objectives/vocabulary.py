"""What objectives need to know of the tokenizer: ids of special tokens, where words begin and sentences end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pretrain_api.names import SEPARATOR_TOKEN
from pretrain_api.spec.objective import Objective, ObjectivePart
from pretrain_api.wire import Blend, StorageLayout
from pretrain_trainer.errors import InvalidConfiguration
from pretrain_trainer.tokenizer import open_tokenizer

SENTENCE_ENDS = (".", "!", "?", "…", "。", "！", "？")
_CLOSING = "\"'”’)]»\n "
_WORD_BEGINNINGS = ("\u2581", "\u0120", "\u010a", "\u0109")
"""SentencePiece's space; byte-level BPE's space, line feed and tabulator."""


@dataclass(frozen=True)
class Vocabulary:
    """Token ids as objectives need them.

    Attributes:
        size: Number of ids.
        end: Id of the token that ends a document.
        pad: Id that fills up short samples.
        reserved: Ids of reserved tokens by their text.
        special: bool[size], tokens that are no text.
        word_starts: bool[size], tokens that begin a word; None: not known.
        sentence_ends: bool[size], tokens that end a sentence; None: not known.
    """

    size: int
    end: int
    pad: int
    reserved: dict[str, int]
    special: NDArray[np.bool_]
    word_starts: NDArray[np.bool_] | None = None
    sentence_ends: NDArray[np.bool_] | None = None

    def ids(self, names: Sequence[str]) -> NDArray[np.int64]:
        """Return the ids of reserved tokens, int64[names].

        Raises:
            InvalidConfiguration: The tokenizer lacks some.
        """
        missing = [name for name in names if name not in self.reserved]
        if missing:
            shown = ", ".join(missing[:3]) + (f" and {len(missing) - 3} more" if len(missing) > 3 else "")
            raise InvalidConfiguration(
                f"spec.objective: the tokenizer lacks the tokens {shown}; train one for this job "
                "(spec.data.tokenizer.train), or name one that has them (spec.data.tokenizer.uri)"
            )
        return np.array([self.reserved[name] for name in names], dtype=np.int64)


def read_vocabulary(blend: Blend, storage: StorageLayout, objective: Objective) -> Vocabulary:
    """Return what `objective` needs to know of the job's tokenizer.

    Raises:
        InvalidConfiguration: It has no token that ends a document, and the objective needs one.
    """
    tokens = blend.special_tokens
    end = tokens.eos if tokens.eos is not None else blend.reserved_tokens.get(SEPARATOR_TOKEN)
    if end is None:
        if objective.document_masking or any(part.type != "causal-lm" for part in objective.parts):
            raise InvalidConfiguration(
                "spec.data.tokenizer: the tokenizer has no token that ends a document, which this objective needs; "
                "name one with an end-of-text token, or train one"
            )
        end = 0  # only to fill up with
    known = [token for token in tokens.model_dump().values() if token is not None]
    special = np.zeros(blend.vocab_size, dtype=np.bool_)
    special[[*known, *blend.reserved_tokens.values()]] = True
    pieces = read_pieces(storage.root / blend.tokenizer) if any(map(_needs_pieces, objective.parts)) else None
    starts, ends = (None, None) if pieces is None else (word_starts(pieces), sentence_ends(pieces))
    pad = tokens.pad if tokens.pad is not None else end
    return Vocabulary(blend.vocab_size, end, pad, dict(blend.reserved_tokens), special, starts, ends)


def _needs_pieces(part: ObjectivePart) -> bool:
    return part.type == "denoising" or part.mask_unit in ("word", "span") or part.sentence_pairs is not None


def read_pieces(directory: Path) -> list[str] | None:
    """Return the text of each token id, as the tokenizer's library writes it; None where there is no tokenizer."""
    tokenizer = open_tokenizer(directory)
    return tokenizer.pieces() if tokenizer is not None else None


def word_starts(pieces: Sequence[str]) -> NDArray[np.bool_]:
    """Return for each token whether it begins a word: bool[pieces].

    In SentencePiece and byte-level BPE the tokens that do carry the space before the word; in WordPiece the others are
    marked by ##. A vocabulary that has no such marks has a word in each token.
    """
    beginnings = np.array([piece.startswith(_WORD_BEGINNINGS) for piece in pieces])
    continued = np.array([piece.startswith("##") for piece in pieces])
    # Headings of Markdown are pieces of BPE, too.
    if continued.sum() > beginnings.sum():
        return ~continued
    return beginnings if beginnings.any() else np.ones(len(pieces), dtype=np.bool_)


def sentence_ends(pieces: Sequence[str]) -> NDArray[np.bool_]:
    """Return for each token whether a sentence ends after it: bool[pieces]."""
    newlines = ("<0x0A>", "\u010a")
    return np.array([piece in newlines or piece.rstrip(_CLOSING).endswith(SENTENCE_ENDS) for piece in pieces])
