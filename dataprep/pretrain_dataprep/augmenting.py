"""Augmentation: new documents made of given ones, a stated share of them at most, the same for the same seed.

Which documents are taken, and what becomes of one, depends on a hash of its text and the seed alone; partners are the
documents that are taken next, in the order of reading.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, get_args

import numpy as np
import xxhash

from pretrain_api.spec.augment import AugmentMethod
from pretrain_dataprep.augmentation.texts import JOINT, mixed, shuffled, with_synonyms
from pretrain_dataprep.choice import fractions

METHODS: tuple[AugmentMethod, ...] = get_args(AugmentMethod)
Rewriter = Callable[[Iterable[str]], Iterable[str]]
"""Returns another text for each of some texts, in their order: a translation there and back, a paraphrase."""


class Made(NamedTuple):
    """A new document."""

    text: str
    origins: tuple[int, ...]
    """Places of those it was made of among the texts; of a code-mix, the second one's among the others."""


@dataclass(frozen=True)
class Augmenter:
    """What is made of which share of the documents.

    Attributes:
        method: sentence-shuffle: the sentences of each paragraph in another order; synonyms: words replaced by those of
            a dictionary; concatenate: two documents joined; code-mix: sentences of two documents, three of each in
            turn; rewrite: what `rewriter` makes of them.
        share: Most bytes of new text, relative to those read.
        seed: Of all choices.
        rate: Share of the words that the dictionary has that are replaced.
        dictionary: Synonyms of words in lower case.
        rewriter: For rewrite.
    """

    method: AugmentMethod
    share: float
    seed: int = 1234
    rate: float = 0.1
    dictionary: Mapping[str, Sequence[str]] | None = None
    rewriter: Rewriter | None = None

    def __post_init__(self) -> None:
        """Raise ValueError where something is missing or out of range."""
        if not 0 < self.share <= 1 or not 0 < self.rate <= 1:
            raise ValueError("share and rate are above 0 and at most 1; write for example share 0.01")
        if self.method == "synonyms" and not self.dictionary:
            raise ValueError("synonyms need a dictionary; name one")
        if self.method == "rewrite" and self.rewriter is None:
            raise ValueError("rewrite needs what rewrites: a command, or a function")

    def augment(self, texts: Iterable[str], others: Iterable[str] = ()) -> Iterator[str]:
        """Yield new documents made of a share of `texts`.

        Args:
            texts: The documents.
            others: For code-mix: documents of another language.
        """
        return (made.text for made in self.make(self._limited(texts), self._chosen(others)))

    def make(self, chosen: Iterable[str], others: Iterable[str] = ()) -> Iterator[Made]:
        """Yield what becomes of documents that are taken, in their order; what would be as it was is left out.

        Raises:
            ValueError: The rewriter returned another number of texts than it was given.
        """
        texts = iter(chosen)
        if self.method == "concatenate":
            # Of the same iterator twice: the next two.
            for number, pair in enumerate(zip(texts, texts, strict=False)):
                yield Made(JOINT.join(pair), (2 * number, 2 * number + 1))
        elif self.method == "code-mix":
            for number, (first, second) in enumerate(zip(texts, others, strict=False)):
                yield Made(mixed(first, second), (number, number))
        elif self.method == "rewrite":
            yield from self._rewritten(texts)
        else:
            for number, text in enumerate(texts):
                if (new := self._changed(text)) != text:
                    yield Made(new, (number,))

    def _limited(self, texts: Iterable[str]) -> Iterator[str]:
        """Yield texts that are taken, never more bytes than the share of those read so far."""
        # A text of a code-mix brings about as much of the other language with it.
        share = self.share / 2 if self.method == "code-mix" else self.share
        read = taken = 0
        for text, is_taken, size in self._places(texts):
            read += size
            if is_taken and taken + size <= share * read:
                taken += size
                yield text

    def _chosen(self, texts: Iterable[str]) -> Iterator[str]:
        return (text for text, is_taken, _ in self._places(texts) if is_taken)

    def _places(self, texts: Iterable[str]) -> Iterator[tuple[str, bool, int]]:
        """Yield each text, whether its hash chooses it, and its bytes."""
        for text in texts:
            encoded = text.encode()
            hashes = np.frombuffer(xxhash.xxh3_128_digest(encoded), ">u8").astype(np.uint64).reshape(1, 2)
            # The limit takes some away again.
            is_taken = fractions(hashes, self.seed, f"augment-{self.method}")[0] < 2 * self.share
            yield text, bool(is_taken), len(encoded)

    def _changed(self, text: str) -> str:
        generator = random.Random(  # noqa: S311 (reproducible is all it has to be)
            xxhash.xxh3_64_intdigest(f"{self.method}\0{self.seed}\0{text}".encode())
        )
        if self.method == "sentence-shuffle":
            return shuffled(text, generator)
        return with_synonyms(text, self.dictionary or {}, self.rate, generator)

    def _rewritten(self, texts: Iterator[str]) -> Iterator[Made]:
        assert self.rewriter is not None
        asked: deque[tuple[int, str]] = deque()
        """Texts that aren't answered yet. A rewriter may take any number of them before its first answer."""
        given = answered = 0

        def remembered() -> Iterator[str]:
            nonlocal given
            for text in texts:
                asked.append((given, text))
                given += 1
                yield text

        for new in self.rewriter(remembered()):
            answered += 1
            if not asked:
                raise ValueError(
                    f"{answered:,} texts came back, more than were given; what rewrites returns one for each"
                )
            number, text = asked.popleft()
            if new.strip() and new != text:
                yield Made(new, (number,))
        if answered != given:
            raise ValueError(f"{answered:,} texts came back for {given:,}; what rewrites returns one for each")
