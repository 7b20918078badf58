"""`spec.data.decontaminate`: what must not be trained on."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from pretrain_api.spec.base import PositiveInteger, SpecModel, Text


class Decontaminate(SpecModel):
    """Removal of documents that overlap with evaluation sets (Brown et al. 2020, appendix C)."""

    against: Annotated[tuple[Text, ...], Field(min_length=1, max_length=100)] = Field(examples=[["s3://eval/*.jsonl"]])
    """Evaluation sets: JSON lines, of which all text counts, or text, of which a paragraph is an item."""
    ngram: Annotated[PositiveInteger, Field(le=100)] = 13
    """Length of the overlap in words, whatever their case and what is between them (GPT-3, appendix C: 13)."""
    action: Literal["drop", "cut"] = "drop"
    """What is done with a document that overlaps: it is removed, or only the passages of it that do."""
