"""Dictionaries of synonyms."""

from __future__ import annotations

from typing import Any

import orjson

from pretrain_dataprep.errors import InputError
from pretrain_dataprep.filtering.given import given_lines

Dictionary = dict[str, list[str]]


def read_dictionary(address: str) -> Dictionary:
    """Read synonyms: JSON, {"word": ["synonym", …]}, or a line a word: the word and its synonyms between tabs.

    Args:
        address: Path or URL of a file, compressed or not; JSON by its suffix .json.

    Returns:
        The synonyms of each word in lower case.

    Raises:
        InputError: It can't be read, or has no word.
    """
    lines = given_lines(address)
    rows = _json_rows("\n".join(lines), address) if ".json" in address.rpartition("/")[2] else _tab_rows(lines)
    dictionary: Dictionary = {}
    for word, synonyms in rows:
        known = dictionary.setdefault(word.strip().lower(), [])
        known += [each.strip() for each in synonyms if each.strip() and each.strip() not in known]
    dictionary = {word: known for word, known in dictionary.items() if word and known}
    if not dictionary:
        raise InputError(f"{address}: no word in it; write a word and its synonyms a line, between tabs")
    return dictionary


def _tab_rows(lines: Any) -> list[tuple[str, list[str]]]:
    rows = (line.rstrip("\r").split("\t") for line in lines)
    return [(word, synonyms) for word, *synonyms in rows]


def _json_rows(content: str, address: str) -> list[tuple[str, list[str]]]:
    try:
        document = orjson.loads(content)
    except ValueError as error:
        raise InputError(f'{address}: not JSON: {error}; write {{"word": ["synonym"]}}') from error
    if not isinstance(document, dict) or not all(_is_list_of_texts(known) for known in document.values()):
        raise InputError(f'{address}: not a dictionary of synonyms; write {{"word": ["synonym"]}}')
    return list(document.items())


def _is_list_of_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)
