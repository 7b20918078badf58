"""A rule in the Common Expression Language, and the shapes that many of them have.

A field that is null instead of left out is dropped by the API server unless the schema calls it nullable, so `has`
means that it has a value.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class CelRule:
    """An expression that has to be true, and what is said where it isn't."""

    expression: str
    message: str

    @property
    def is_of_change(self) -> bool:
        """Whether it compares with what was there before, so that it has no say where nothing was."""
        return "oldSelf" in self.expression

    def as_schema(self) -> dict[str, Any]:
        """Return an entry of x-kubernetes-validations."""
        return {"rule": self.expression, "message": self.message}


def unchanged(field: str) -> CelRule:
    """Return the rule that a field, optional or not, stays as it was when the job was made."""
    return CelRule(
        f"self.?{field} == oldSelf.?{field}",
        f"{field} cannot be changed once the job is made; make a job of another name",
    )


def not_more(least: str, most: str) -> CelRule:
    """Return the rule that a least value isn't above the greatest."""
    return CelRule(
        f"!has(self.{least}) || !has(self.{most}) || self.{least} <= self.{most}",
        f"{least} is more than {most}: nothing would be left; write less",
    )


def count(*fields: str) -> str:
    """Return an expression for how many of the optional fields are given."""
    return " + ".join(f"(has(self.{field}) ? 1 : 0)" for field in fields)


def matches(pattern: str, message: str) -> CelRule:
    """Return the rule that a text matches a pattern."""
    return CelRule(f"self.matches('{pattern}')", message)


def language_code() -> CelRule:
    """Return the rule that a text is the code of a language."""
    return matches("^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$", "not a language code; write one of ISO 639, such as en")


def one_of(values: Iterable[str]) -> str:
    """Return a list of texts as an expression."""
    return f"[{', '.join(repr(value) for value in values)}]"


STAYS_INSIDE = CelRule(
    "!self.matches('://.*(^|/)[.][.](/|$)') && !self.matches('[[:cntrl:]]')",
    "the uri leaves its storage by '..', or has characters that do not print; write a clean path",
)
READABLE = CelRule(
    "!self.contains('://') || self.matches('^(file|s3|gs|hf|http|https|sample)://.+')",
    "this kind of URL cannot be read; write a path, or file, s3, gs, hf, http, https or sample with ://",
)
FIRST_FROM_ZERO = "(type(self[0].from) == int ? self[0].from == 0 : self[0].from.matches('^0+([.]0+)?[A-Za-z]*$'))"
