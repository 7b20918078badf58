"""What a job has written about itself, read from its directory or out of the cluster's storage."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pretrain_api.wire import StorageLayout
from pretrain_cli.errors import UsageError
from pretrain_cli.local_runs import LocalRun
from pretrain_cli.places import ClusterJob

CURVES = ("metrics.jsonl", "metrics-discarded.jsonl", "evaluations.jsonl")
EVERYTHING = (*CURVES, "data/report.json", "samples.json", "ledger.jsonl", "completed.json")
"""All that a report is made of."""


@contextmanager
def records_of(
    found: LocalRun | ClusterJob, files: tuple[str, ...], image: str = ""
) -> Iterator[tuple[dict[str, Any], StorageLayout]]:
    """Yield the resolved job, and a storage with the wanted files, as far as they are there.

    Args:
        found: Whose.
        files: Paths relative to the storage.
        image: Of the pod that reads the storage, where the job has none that runs.

    Raises:
        UsageError: The storage can't be reached.
    """
    if isinstance(found, LocalRun):
        yield found.job(), found.workdir.layout
        return
    # Imported here: local runs need no Kubernetes.
    from pretrain_cli.cluster.storage import fetch_files

    with tempfile.TemporaryDirectory(prefix="pretrain-") as folder:
        layout = StorageLayout(folder)
        fetch_files(found.connection, found.document, files, Path(folder), image)
        layout.status.write_text(json.dumps(found.document.get("status") or {}), encoding="utf-8")
        yield _resolved(found.document), layout


def need_report_package() -> None:
    """Refuse where the package for plots and reports isn't installed. Raises UsageError."""
    from importlib.util import find_spec

    missing = [name for name in ("matplotlib", "jinja2", "orjson") if find_spec(name) is None]
    if missing:
        raise UsageError(f"this takes {', '.join(missing)}, which isn't installed; pip install 'pretrain[report]'")


def _resolved(document: dict[str, Any]) -> dict[str, Any]:
    """Return the job with its defaults; as it is, where another version of the contract wrote it."""
    from pydantic import ValidationError

    from pretrain_api.resolve import resolved_json
    from pretrain_api.spec.job import PretrainJob

    try:
        resolved: dict[str, Any] = json.loads(resolved_json(PretrainJob.model_validate(document)))
    except ValidationError:
        return document
    return resolved
