"""A valid job as plain values; and this folder's own helpers on the path."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from pretrain_api.validation.documents import load_documents

_HERE = Path(__file__).parent
sys.path.insert(0, str(_HERE))


@pytest.fixture
def small_text() -> str:
    return (_HERE / "manifests" / "good" / "small.yaml").read_text()


@pytest.fixture
def small_job(small_text: str) -> dict[str, Any]:
    (document,) = load_documents(small_text)
    job: dict[str, Any] = document.value
    return job
