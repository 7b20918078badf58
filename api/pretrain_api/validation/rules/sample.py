"""What `sample://python` may be asked for."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import parse_qsl, urlsplit

from pretrain_api.json_schema import listed
from pretrain_api.problems import Finding, shown
from pretrain_api.validation.suggestions import closest, did_you_mean

# As the data preparation knows them; a test keeps them in step.
SAMPLE_KINDS = ("descriptions", "docstrings", "licenses", "sources", "topics")
SAMPLE_CORRUPTIONS = ("wrong-codec", "shifted-letters", "shuffled-letters")
SAMPLE_PARAMETERS = ("kinds", "megabytes", "corruption", "seed")
_MAX_MEGABYTES = 1e6


def sample_parameters(path: str, uri: str) -> Iterator[Finding]:
    """Yield what is wrong with the sample:// URI at `path`."""
    parts = urlsplit(uri)
    if parts.netloc != "python" or parts.path.strip("/"):
        yield Finding(path, f"{shown(uri)} is not a known sample; write sample://python")
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        yield from _parameter(path, name, value)


def _parameter(path: str, name: str, value: str) -> Iterator[Finding]:
    if name == "kinds":
        for kind in value.split(","):
            yield from _choice(path, "kind", kind, SAMPLE_KINDS)
    elif name == "corruption":
        yield from _choice(path, "corruption", value, SAMPLE_CORRUPTIONS)
    elif name == "megabytes":
        if not 0 < _number(value) < _MAX_MEGABYTES:
            yield Finding(path, f"megabytes={value} is not a size; write a number above 0, such as 10")
    elif name == "seed":
        if not value.removeprefix("-").isdecimal():
            yield Finding(path, f"seed={value} is not a whole number; write one")
    else:
        hint = did_you_mean(name, SAMPLE_PARAMETERS)
        yield Finding(path, f"sample://python has no parameter {shown(name)}; {hint}")


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


def _choice(path: str, what: str, value: str, choices: tuple[str, ...]) -> Iterator[Finding]:
    if value not in choices:
        match = closest(value, choices)
        hint = f"did you mean {match}? " if match else ""
        yield Finding(path, f"sample://python has no {what} {shown(value)}; {hint}write {listed(list(choices))}")
