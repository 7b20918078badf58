"""The chart, and the programs that know whether it is right."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from pretrain_cluster.packages import unpacked
from pretrain_cluster.progress import Progress

CHART = Path(__file__).resolve().parents[2] / "charts" / "pretrain-operator"


@pytest.fixture(scope="session")
def promtool() -> Path:
    """Prometheus' own tool, of Debian's package."""
    if shutil.which("apt-get") is None:
        pytest.skip("promtool comes from a Debian package, and this is no Debian")
    return unpacked("prometheus", "usr/bin/promtool", Progress())


@pytest.fixture(scope="session")
def chart() -> Path:
    """The chart's folder."""
    return CHART
