"""Fixtures of the supervisor's tests."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from harness import Rehearsals


@pytest.fixture
def rehearsals(tmp_path: Path) -> Iterator[Rehearsals]:
    """Yield a place to start supervisors in."""
    place = Rehearsals(tmp_path)
    yield place
    place.close()
