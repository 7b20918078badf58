"""Dictionaries of synonyms: two formats, compressed or not, from any address."""

from __future__ import annotations

from pathlib import Path

import pytest
import zstandard

from pretrain_dataprep.augmentation.dictionary import read_dictionary
from pretrain_dataprep.errors import InputError


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("words.tsv", "River\tstream\tbrook\r\nno synonym\nstone\t\trock \nriver\tstream\tcreek\n"),
        ("words.json", '{"River": ["stream", "brook", "creek"], "stone": ["rock"], "hill": []}'),
    ],
)
def test_formats(name: str, content: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(content)
    packed = tmp_path / f"{name}.zst"
    packed.write_bytes(zstandard.compress(content.encode()))
    expected = {"river": ["stream", "brook", "creek"], "stone": ["rock"]}
    assert read_dictionary(str(path)) == read_dictionary(f"file://{packed}") == expected


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.tsv", "river stream\n", "no word in it; write a word and its synonyms a line, between tabs"),
        ("a.json", "{", "not JSON: .*; write"),
        ("a.json", '["river"]', "not a dictionary of synonyms; write"),
        ("a.json", '{"river": "stream"}', "not a dictionary of synonyms; write"),
    ],
)
def test_what_is_no_dictionary(name: str, content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=rf"{name}: {message}"):
        read_dictionary(str(tmp_path / name))
    with pytest.raises(InputError, match="no such file"):
        read_dictionary(str(tmp_path / "missing.tsv"))
