"""The Prometheus operator's resource definitions: they tell whether monitors and rules are such as it takes."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

from .errors import ClusterError
from .processes import run
from .progress import Progress
from .toolchain import go_program
from .topology import tools_directory

MODULE = "github.com/prometheus-operator/prometheus-operator"
VERSION = "v0.91.0"
SUM = "h1:rb4MKt5MlpYyDOzgGv1P8zhiHDxJrgQ6p6zhsIc+7ys="
_FOLDER = "example/prometheus-operator-crd"
_FILES = tuple(
    f"monitoring.coreos.com_{plural}.yaml" for plural in ("podmonitors", "prometheusrules", "servicemonitors")
)


def prometheus_operator_definitions(progress: Progress) -> list[Path]:
    """Return the files of ServiceMonitor, PodMonitor and PrometheusRule, fetched once.

    Raises:
        ClusterError: they can't be fetched, or aren't what they were.
    """
    folder = tools_directory() / f"prometheus-operator-{VERSION}"
    if not folder.exists():
        progress.step(f"fetching definitions of prometheus-operator {VERSION}")
        source = _download(go_program(tools_directory(), progress)) / _FOLDER
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as name:
            whole = Path(name) / "definitions"
            whole.mkdir()
            for each in _FILES:
                shutil.copyfile(source / each, whole / each)
            whole.rename(folder)
    return [folder / each for each in _FILES]


def _download(go: Path) -> Path:
    settings = ("GOFLAGS=-mod=mod", "GOWORK=off", "GOTOOLCHAIN=local")
    command: list[str | Path] = ["env", *settings, go, "mod", "download", "-json", f"{MODULE}@{VERSION}"]
    found = json.loads(run(command, doing=f"fetching {MODULE}", callers_environment=True))
    if found["Sum"] != SUM:
        raise ClusterError(f"{MODULE}@{VERSION} is {found['Sum']}, and was {SUM}")
    return Path(found["Dir"])
