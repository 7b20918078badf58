"""What became of the documents."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from pretrain_api.wire import DataReport, SourceReport
from pretrain_report import formats
from pretrain_report.storage import Records

BAD_RECORD = "unreadable record"


@dataclass(frozen=True)
class FunnelStep:
    """A step of the funnel: what was there, left or stayed."""

    label: str
    stage: str
    documents: int
    before: float
    """Share of the documents read that were left when the step began."""
    share: float
    """Share of the documents read that this step is about."""
    kind: str
    """read, removed or kept."""
    samples: tuple[str, ...] = ()


def funnel(sources: list[SourceReport]) -> list[FunnelStep]:
    """Return the steps from what was read to what was kept: each reason once, in the order of the stages."""
    read = sum(source.documents_read + source.bad_records for source in sources)
    if not read:
        return []
    removed: dict[tuple[str, str], int] = defaultdict(int)
    samples: dict[tuple[str, str], list[str]] = defaultdict(list)
    for source in sources:
        removed["", BAD_RECORD] += source.bad_records
        samples["", BAD_RECORD] += source.bad_record_samples
        for removal in source.removed:
            removed[removal.stage, removal.reason] += removal.documents
            samples[removal.stage, removal.reason] += removal.samples
    steps = [FunnelStep("read", "", read, 1.0, 1.0, "read")]
    left = read
    for stage, reason in _in_order(removed):
        documents = removed[stage, reason]
        if documents:
            some = tuple(samples[stage, reason][:5])
            steps.append(FunnelStep(reason, stage, documents, left / read, documents / read, "removed", some))
            left -= documents
    kept = sum(source.documents_kept for source in sources)
    return [*steps, FunnelStep("kept", "", kept, kept / read, kept / read, "kept")]


def _in_order(removed: dict[tuple[str, str], int]) -> list[tuple[str, str]]:
    """Stages as they come first in the report, within a stage the commonest reason first."""
    stages = list(dict.fromkeys(stage for stage, _ in removed))
    return sorted(removed, key=lambda key: (stages.index(key[0]), -removed[key], key[1]))


def duplicate_summary(report: DataReport) -> list[tuple[str, int, int, int]]:
    """Return (kind, clusters, documents beyond the first of each, largest cluster) by kind."""
    return [
        (
            kind,
            sum(clusters.values()),
            sum((size - 1) * count for size, count in clusters.items()),
            max(clusters),
        )
        for kind, clusters in sorted(report.duplicate_clusters.items())
        if clusters
    ]


def redacted(report: DataReport) -> dict[str, int]:
    """Return pieces of personal data that were replaced, by kind."""
    total: dict[str, int] = defaultdict(int)
    for source in report.sources:
        for kind, count in source.redacted.items():
            total[kind] += count
    return dict(sorted(total.items()))


@dataclass(frozen=True)
class StageRow:
    """A stage of the preparation."""

    name: str
    items: str
    documents_in: int | None
    documents_out: int | None
    state: str = ""
    """Empty where only data/report.json is known, which holds no times either."""
    seconds: float | None = None
    message: str = ""


def stage_rows(records: Records) -> list[StageRow]:
    """Return the stages as status.json has them, otherwise as data/report.json does."""
    preparation = records.status.data_preparation if records.status else None
    if preparation and preparation.stages:
        return [
            StageRow(
                name=stage.name,
                items=f"{stage.completed:,} of {stage.total:,}",
                documents_in=stage.documents_in,
                documents_out=stage.documents_out,
                state=stage.state,
                seconds=_seconds_between(stage.started_at, stage.finished_at),
                message=stage.message or "",
            )
            for stage in preparation.stages
        ]
    stages = records.data_report.stages if records.data_report else []
    return [StageRow(one.name, formats.count(one.items), one.documents_in, one.documents_out) for one in stages]


def _seconds_between(start: str | None, end: str | None) -> float | None:
    first, last = formats.parse_time(start), formats.parse_time(end)
    return (last - first).total_seconds() if first and last else None
