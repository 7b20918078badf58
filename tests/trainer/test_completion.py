"""The completion marker holds which training it is of; that of another one is set aside."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pretrain_api.wire import StorageLayout
from pretrain_trainer.completion import is_complete, set_aside_stale_marker, write_marker


@pytest.fixture
def storage(tmp_path: Path) -> StorageLayout:
    return StorageLayout(tmp_path)


def test_without_a_marker_nothing_is_complete(storage: StorageLayout) -> None:
    assert not is_complete(storage, None)
    assert not is_complete(storage, "today's")
    assert set_aside_stale_marker(storage, "today's") is None


def test_the_marker_holds_its_configuration(storage: StorageLayout) -> None:
    write_marker(storage, "today's", {"step": 7})
    assert json.loads(storage.completed.read_text()) == {"step": 7, "configuration": "today's"}
    assert is_complete(storage, "today's")
    assert set_aside_stale_marker(storage, "today's") is None


@pytest.mark.parametrize("content", ['{"configuration": "yesterday\'s"}', "{}", "[]", "torn{"])
def test_another_marker_is_set_aside(storage: StorageLayout, content: str) -> None:
    storage.completed.write_text(content)
    assert not is_complete(storage, "today's")
    aside = set_aside_stale_marker(storage, "today's")
    assert aside is not None
    assert aside.read_text() == content
    assert not storage.completed.exists()


@pytest.mark.parametrize("content", ['{"configuration": "yesterday\'s"}', "torn{"])
def test_any_marker_is_believed_where_it_is_not_said_which(storage: StorageLayout, content: str) -> None:
    storage.completed.write_text(content)
    assert is_complete(storage, None)
    assert set_aside_stale_marker(storage, None) is None
    write_marker(storage, None, {"step": 7})
    assert json.loads(storage.completed.read_text()) == {"step": 7}
