"""YAML text to plain values, with every problem of the text itself: syntax, duplicate keys, aliases that explode."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from pretrain_api.json_schema import FieldPath
from pretrain_api.problems import Problem, format_path, shown
from pretrain_api.validation.scalars import Loader, parse_number

MAX_TEXT_BYTES = 1_048_576
"""Kubernetes keeps objects of up to 1.5 MiB, managed fields and status included."""
_MAX_NODES = 100_000
_MAX_DEPTH = 100
_MAX_INTEGER = 2**63 - 1


@dataclass
class Document:
    """One document of a file."""

    index: int
    value: Any = None
    """Plain values: dict, list, str, int, float, bool, None."""
    problems: list[Problem] = field(default_factory=list)
    lines: dict[str, int] = field(default_factory=dict)
    """Line, from 1, by path of the field."""
    complete: bool = True
    """False: the text could not be read as YAML."""


def load_documents(text: str) -> list[Document]:
    """Return the documents of `text`, empty ones left out. Never raises: what is wrong is in their problems."""
    documents: list[Document] = []
    try:
        for node in _nodes(text):
            if node is not None:
                documents.append(_document(node, len(documents)))
    except yaml.YAMLError as error:
        documents.append(_broken(len(documents), *_syntax_problem(error, text)))
    except RecursionError:
        documents.append(_broken(len(documents), "line 1, column 1", "nested too deeply; write a PretrainJob"))
    if not documents:
        documents.append(_broken(0, "line 1, column 1", "there is no document; write a PretrainJob"))
    return documents


def _broken(index: int, path: str, message: str) -> Document:
    line = re.match(r"line (\d+)", path)
    return Document(
        index, problems=[Problem(path, message, index, line=int(line[1]) if line else None)], complete=False
    )


def _nodes(text: str) -> Iterator[yaml.Node | None]:
    loader = Loader(text)
    try:
        while loader.check_node():
            node = loader.get_node()
            yield None if _is_empty(node) else node
    finally:
        loader.dispose()


def _is_empty(node: yaml.Node | None) -> bool:
    return node is None or (isinstance(node, yaml.ScalarNode) and node.value == "" and node.style is None)


def _syntax_problem(error: yaml.YAMLError, text: str) -> tuple[str, str]:
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}" if mark else "line 1, column 1"
        return where, _syntax_message(error.problem or "this is not YAML", error.context or "")
    position = getattr(error, "position", 0)
    before = text[:position]
    where = f"line {before.count(chr(10)) + 1}, column {position - before.rfind(chr(10))}"
    return where, f"the character {json.dumps(text[position : position + 1])} may not stand in YAML; remove it"


def _syntax_message(problem: str, context: str) -> str:
    if "'\\t'" in problem:
        return "a tab stands where YAML wants spaces; indent with spaces"
    remedies = {
        "mapping values are not allowed": "check the indentation, and quote text that contains ': '",
        "could not find expected ':'": "write 'field: value'",
        "expected <block end>": "check the indentation: fields of one part start in the same column",
        "expected ',' or": "close the bracket or put a comma between the items",
        "undefined alias": "define the anchor before it is used",
        "found unexpected end of stream": "close the quote",
    }
    remedy = next((text for key, text in remedies.items() if key in problem), "mend the YAML here")
    return f"{f'{context}: ' if context else ''}{problem}; {remedy}"


def _document(root: yaml.Node, index: int) -> Document:
    document = Document(index)
    mark = root.start_mark
    where = f"line {mark.line + 1}, column {mark.column + 1}"
    try:
        size = _expanded_size(root, {}, 0)
    except _TooDeepError:
        return _broken(index, where, "nested too deeply, or an alias contains itself; write the values out")
    if size > _MAX_NODES:
        return _broken(index, where, f"has {size} values with its aliases written out; write at most {_MAX_NODES}")
    document.value = _Builder(document).build(root, ())
    return document


class _TooDeepError(Exception):
    pass


def _expanded_size(node: yaml.Node, sizes: dict[int, int], depth: int) -> int:
    """Return the number of values once all aliases are written out; nested aliases grow exponentially."""
    if depth > _MAX_DEPTH:
        raise _TooDeepError
    known = sizes.get(id(node))
    if known is not None:
        return known
    children: list[yaml.Node] = []
    if isinstance(node, yaml.SequenceNode):
        children = node.value
    elif isinstance(node, yaml.MappingNode):
        children = [part for pair in node.value for part in pair]
    size = 1 + sum(_expanded_size(child, sizes, depth + 1) for child in children)
    sizes[id(node)] = size
    return size


class _Builder:
    """Turns YAML nodes into plain values, noting lines and problems."""

    def __init__(self, document: Document) -> None:
        self.document = document

    def build(self, node: yaml.Node, path: FieldPath) -> Any:
        self.document.lines.setdefault(format_path(path), node.start_mark.line + 1)
        kind = node.tag.removeprefix("tag:yaml.org,2002:")
        if isinstance(node, yaml.MappingNode) and kind == "map":
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode) and kind == "seq":
            return [self.build(item, (*path, index)) for index, item in enumerate(node.value)]
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(kind, node.value, path)
        self._problem(path, f"the YAML tag {node.tag} is not supported; write a plain value without it")
        return None

    def _mapping(self, node: yaml.MappingNode, path: FieldPath) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        own: dict[str, Any] = {}
        lines: dict[str, int] = {}
        for key_node, value_node in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                merged = self._merged(value_node, path) | merged
                continue
            key = self._key(key_node, path)
            line = key_node.start_mark.line + 1
            if key in own:
                self._problem((*path, key), f"is given twice, on lines {lines[key]} and {line}; keep one of them")
            self.document.lines[format_path((*path, key))] = line
            lines[key] = line
            own[key] = self.build(value_node, (*path, key))
        return merged | own

    def _merged(self, node: yaml.Node, path: FieldPath) -> dict[str, Any]:
        parts = node.value if isinstance(node, yaml.SequenceNode) else [node]
        result: dict[str, Any] = {}
        for part in parts:
            if isinstance(part, yaml.MappingNode):
                result = self._mapping(part, path) | result
            else:
                self._problem(path, "'<<' merges something that is not a mapping; give it an alias of a mapping")
        return result

    def _key(self, node: yaml.Node, path: FieldPath) -> str:
        if isinstance(node, yaml.ScalarNode):
            return self._text(str(node.value), path)
        self._problem(path, "a key is not text; write 'field: value'")
        return "?"

    def _scalar(self, kind: str, text: str, path: FieldPath) -> Any:
        if kind == "str":
            return self._text(text, path)
        if kind == "null":
            return None
        if kind == "bool":
            return text.lower() in ("yes", "true", "on")
        if kind in ("int", "float"):
            return self._number(kind, text, path)
        self._problem(path, f"the YAML tag !!{kind} is not supported; write a plain value without it")
        return None

    def _text(self, text: str, path: FieldPath) -> str:
        if any("\ud800" <= character <= "\udfff" for character in text):
            self._problem(path, f"{shown(text)} has half a character (a lone surrogate); write the whole one")
            return ""
        return text

    def _number(self, kind: str, text: str, path: FieldPath) -> int | float | None:
        try:
            value = parse_number(kind, text)
        except ValueError:
            self._problem(path, f"{shown(text)} is not a number; write one in digits")
            return None
        if isinstance(value, float) and not math.isfinite(value):
            self._problem(path, f"{shown(text)} is not a finite number; write one that is")
            return None
        if abs(value) > _MAX_INTEGER and isinstance(value, int):
            self._problem(path, f"{shown(text)} is out of range; whole numbers go up to {_MAX_INTEGER}")
            return None
        return value

    def _problem(self, path: FieldPath, message: str) -> None:
        formatted = format_path(path)
        line = self.document.lines.get(formatted)
        self.document.problems.append(
            Problem(formatted or f"line {line or 1}", message, self.document.index, line=line)
        )
