"""From text to tokens and back, as the model's own tokenizer does it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from pretrain_trainer.errors import InvalidData
from pretrain_trainer.tokenizer import TextTokenizer, open_tokenizer

UNFINISHED = "\ufffd"
"""What decoders put in the place of bytes that are no character yet."""


def load_tokenizer(directory: Path) -> TextTokenizer:
    """Return the tokenizer of a directory.

    Raises:
        InvalidData: There is none.
    """
    tokenizer = open_tokenizer(directory)
    if tokenizer is None:
        raise InvalidData(
            f"{directory}: has neither tokenizer.model nor tokenizer.json; name a model that was exported with its "
            "tokenizer"
        )
    return tokenizer


def pieces_of_text(tokens: Iterable[int], tokenizer: TextTokenizer, before: Sequence[int]) -> Iterator[str]:
    """Yield the text that each token adds after the tokens `before`; of a character in several tokens, at its last one.

    A character that never gets whole comes at the end, as the decoder has it.
    """
    written, shown = list(before), tokenizer.decode(list(before))
    for token in tokens:
        written.append(token)
        text = tokenizer.decode(written)
        if not text.endswith(UNFINISHED):
            yield text[len(shown) :]
            shown = text
    rest = tokenizer.decode(written)[len(shown) :]
    if rest:
        yield rest
