"""YAML as kubectl reads it, and text that isn't YAML."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pretrain_api.validation import validate_text
from pretrain_api.validation.documents import load_documents


def load(text: str) -> Any:
    (document,) = load_documents(text)
    assert document.problems == []
    return document.value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3e-4", 3e-4),
        ("3E-4", 3e-4),
        ("1e9", 1_000_000_000),
        ("1.0", 1),
        ("0.5", 0.5),
        (".5", 0.5),
        ("-1", -1),
        ("+1", 1),
        ("1_000", 1000),
        ("0x1F", 31),
        ("0o17", 15),
        ("0b11", 3),
        ("'1'", "1"),
        ("1:30", "1:30"),
        ("2026-01-01", "2026-01-01"),
        ("256Ki", "256Ki"),
        ("true", True),
        ("off", False),
        ("~", None),
        ("null", None),
        ("=", "="),
        ("y", "y"),
        ("1.2.3", "1.2.3"),
        ('"\\u00e9"', "é"),
    ],
)
def test_scalars(text: str, value: Any) -> None:
    loaded = load(f"a: {text}")["a"]
    assert loaded == value
    assert type(loaded) is type(value)


def test_anchors_and_merges() -> None:
    text = "base: &base {a: 1, b: 2}\nuse: {<<: *base, b: 3}\nlist: [*base, *base]\n"
    assert load(text) == {"base": {"a": 1, "b": 2}, "use": {"a": 1, "b": 3}, "list": [{"a": 1, "b": 2}] * 2}


def test_keys_are_text() -> None:
    assert load("1: a\ntrue: b\n") == {"1": "a", "true": "b"}


@pytest.mark.parametrize(
    ("text", "path", "message"),
    [
        ("a: 1\na: 2\n", "a", "given twice, on lines 1 and 2"),
        ("a: {b: 1, b: 1}", "a.b", "given twice"),
        ("a: !!binary aGk=", "a", "not supported"),
        ("a: !custom x", "a", "not supported"),
        ("a: .inf", "a", "not a finite number"),
        ('a: "\\ud800"', "a", "half a character"),
        ("a: &b {<<: *b}", "line 1, column 1", "contains itself"),
        ("a: .nan", "a", "not a finite number"),
        ("a: 1e400", "a", "not a finite number"),
        ("a: 9223372036854775808", "a", "out of range"),
        ("a: " + "9" * 10_000, "a", "out of range"),
        ("a: 0x", "", ""),
        ("a: {<<: 3}", "a", "merges something"),
        ("? [1, 2]\n: 3", "line 1", "a key is not text"),
        ("a: b: c", "line 1, column 5", "mapping values are not allowed"),
        ("a: [1, 2", "line 1, column 9", "close the bracket"),
        ("a:\n\t- b", "line 2, column 1", "indent with spaces"),
        ('a: "b', "line 1, column 6", "close the quote"),
        ("a: *b", "line 1, column 4", "define the anchor"),
        ("a: \x07", "line 1, column 4", "may not stand in YAML"),
        ("a: b\n  c: d\n", "line 2, column 4", "not allowed"),
        ("&a [*a]", "line 1, column 1", "contains itself"),
        ("[" * 1200, "line 1, column 1", "nested too deeply"),
        ("{a: " * 300 + "1" + "}" * 300, "line 1, column 1", "nested too deeply"),
        ("", "line 1, column 1", "there is no document"),
        ("---\n---\n# nothing\n", "line 1, column 1", "there is no document"),
    ],
)
def test_problems_of_the_text(text: str, path: str, message: str) -> None:
    problems = [problem for document in load_documents(text) for problem in document.problems]
    assert [problem.path for problem in problems] == ([path] if path else [])
    assert all(message in problem.message for problem in problems)


def test_aliases_that_explode() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    (document,) = load_documents("\n".join(lines))
    assert "with its aliases written out" in document.problems[0].message
    assert document.value is None


def test_documents_before_a_mistake_are_read() -> None:
    first, second = load_documents("a: 1\n---\nb: [\n")
    assert first.value == {"a": 1}
    assert second.problems[0].path == "line 4, column 1"


def test_lines_of_fields() -> None:
    (document,) = load_documents("a:\n  b:\n    - c: 1\n    - c: 2\n")
    assert document.lines["a.b[1].c"] == 4


@settings(max_examples=300, deadline=None)
@given(st.text(st.sampled_from("abc:-[]{}&*!|>'\"%#@, \n\t\\x010~?<="), max_size=60))
def test_any_text_has_an_answer(text: str) -> None:
    result = validate_text(text)
    assert result.problems
    assert all("\n" not in str(problem) for problem in result.problems)
