"""What is wrong with a PretrainJob, and where."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, NamedTuple

from pretrain_api.json_schema import FieldPath

_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_PATH_PART = re.compile(r"\[([^\]]*)\]|([^.\[\]]+)")
_SHOWN_CHARACTERS = 60


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: `path: message`, the message being "what is wrong; what would be right"."""

    path: str
    """Path of the field, such as spec.training.batch.stages[1].tokens; "line 3, column 5" where the text isn't YAML."""
    message: str
    document: int = 0
    """Index of the document in its file, from 0."""
    job: str = ""
    """Name of the job, where it is known."""
    line: int | None = None
    """Line of the file, from 1, where there is one."""

    def __post_init__(self) -> None:
        # A line a problem, whatever is in the file.
        object.__setattr__(self, "path", printable(self.path))
        object.__setattr__(self, "message", printable(self.message))

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


def printable(text: str) -> str:
    """Return `text` with everything that doesn't print (line ends, NUL, escape sequences) escaped."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


class Finding(NamedTuple):
    """What a rule found."""

    path: str
    """Path of a field."""
    message: str
    """What is wrong; what would be right."""


def format_path(path: FieldPath) -> str:
    """Return a path as people write it: spec.data.sources[0].uri, metadata.labels[example.com/team]."""
    text = ""
    for part in path:
        if isinstance(part, str) and _PLAIN_KEY.fullmatch(part):
            text += f".{part}" if text else part
        else:
            text += f"[{part}]"
    return text


def child_path(parent: str, key: str) -> str:
    """Return the path of an entry of a mapping whose keys the user chooses: labels, weights, resources."""
    return f"{parent}.{key}" if _PLAIN_KEY.fullmatch(key) else f"{parent}[{key}]"


def parse_path(text: str) -> tuple[str | int | None, ...]:
    """Return the parts of a path; `[]` stands for any index and becomes None."""
    parts: list[str | int | None] = []
    for index, key in _PATH_PART.findall(text):
        if key:
            parts.append(key)
        elif index == "":
            parts.append(None)
        else:
            parts.append(int(index) if index.isdigit() else index)
    return tuple(parts)


def shown(value: Any) -> str:
    """Return `value` as it is shown in a message: on one line, cut where it's long."""
    text = f"'{value}'" if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[: _SHOWN_CHARACTERS - 1]}…"
