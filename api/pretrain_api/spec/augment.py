"""`spec.data.augment`: new documents made of those that survived filters and deduplication."""

from __future__ import annotations

import shlex
from typing import Annotated, Literal

from pydantic import Field

from pretrain_api.spec.base import Name, PositiveInteger, SpecModel, Text

AugmentMethod = Literal["sentence-shuffle", "synonyms", "concatenate", "code-mix", "rewrite"]
Share = Annotated[float, Field(strict=True, gt=0, le=1)]


class Augmentation(SpecModel):
    """New documents, made in one way of a share of one source's. They are a part of their own, SOURCE+METHOD, in files,
    report and in what training saw; none is held back for validation, and none is made of what is held back."""

    source: Name = Field(examples=["web"])
    """Source whose documents are taken: those that are left to train on."""
    method: AugmentMethod = Field(examples=["sentence-shuffle"])
    """sentence-shuffle: the sentences of each paragraph in another order; synonyms: words
    replaced by those of a dictionary; concatenate: two documents joined; code-mix: three sentences of a document and
    three of one of another source, in turn; rewrite: what a program makes of it, such as a translation there and
    back (Sennrich et al. 2016)."""
    share: Share = Field(examples=[0.05])
    """Most bytes of new text, relative to the source's text to train on."""
    dictionary: Text | None = None
    """synonyms: path or URL of a line a word with its synonyms after tabs, or of JSON (.json),
    {"word": ["synonym"]}."""
    rate: Share = 0.1
    """synonyms: share of the words that the dictionary has that are replaced (Wei & Zou 2019: 0.1)."""
    partner: Name | None = None
    """code-mix: the other source, such as the same kind of text in another language."""
    command: Text | None = None
    """rewrite: a program of the preparation's image. It reads JSON strings, one a line, and writes one for each, in
    order; started once a source and shard. The same text must give the same answer. Files
    that it names by absolute paths are looked at: a changed script is noticed."""

    timeout_seconds: PositiveInteger = 600
    """rewrite: how long the program may do nothing, neither read a text nor write one, before it is ended and the work
    item tried again."""

    @property
    def command_files(self) -> tuple[str, ...]:
        """Absolute paths in the command: its files, such as a script, are inputs of what it makes."""
        words = shlex.split(self.command) if self.command is not None else []
        return tuple(word for word in words if word.startswith("/"))

    @property
    def name(self) -> str:
        """Name of the part: no source can have it."""
        return f"{self.source}+{self.method}" + (f"+{self.partner}" if self.partner is not None else "")
