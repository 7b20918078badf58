"""How long things took: kept apart from the data, which is the same bytes every time."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from pretrain_api.wire import StageReport
from pretrain_dataprep.context import StageContext
from pretrain_dataprep.files import write_json


def timings_folder(context: StageContext) -> Path:
    """Return where the work items leave their times; may be deleted at any time."""
    return context.layout.root / "timings"


def write_timing(context: StageContext, counts: Mapping[str, int]) -> None:
    """Note how long this work item took and what it did; an item that found everything done notes nothing."""
    progress = context.progress
    if progress.documents_in == 0 and progress.bytes_in == 0:
        return
    path = timings_folder(context) / f"{progress.stage}-{context.index:05d}.json"
    keys = ("documentsIn", "documentsOut", "bytesIn")
    write_json(path, {**{key: counts.get(key, 0) for key in keys}, "seconds": round(progress.seconds(), 3)})


def stage_reports(context: StageContext, stages: list[str]) -> list[StageReport]:
    """Return the sums over the work items of each stage that left times."""
    reports = []
    for stage in stages:
        items = [json.loads(path.read_bytes()) for path in sorted(timings_folder(context).glob(f"{stage}-[0-9]*.json"))]
        if items:
            reports.append(
                StageReport(
                    name=stage,
                    items=len(items),
                    documents_in=sum(item["documentsIn"] for item in items),
                    documents_out=sum(item["documentsOut"] for item in items),
                    bytes_in=sum(item["bytesIn"] for item in items),
                    seconds=round(sum(item["seconds"] for item in items), 3),
                )
            )
    return reports
