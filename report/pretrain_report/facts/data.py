"""What became of the documents."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from pretrain_api.wire import DataReport, SourceReport, StageReport
from pretrain_report import formats
from pretrain_report.storage import Records

BAD_RECORD = "unreadable record"
_ALL_KINDS = "all"


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


def clusters_by_kind(report: DataReport) -> dict[str, dict[int, int]]:
    """Return documents in a cluster to number of clusters, by kind: `exact`, and `exact and similar` together."""
    order = sorted(report.duplicate_clusters, key=lambda kind: (kind == _ALL_KINDS, kind))
    return {
        "exact and similar" if kind == _ALL_KINDS else kind: report.duplicate_clusters[kind]
        for kind in order
        if report.duplicate_clusters[kind]
    }


def duplicate_summary(report: DataReport) -> list[tuple[str, int, int, int]]:
    """Return (kind, clusters, documents beyond the first of each, largest cluster) by kind, all kinds together last."""
    return [
        (
            kind,
            sum(clusters.values()),
            sum((size - 1) * count for size, count in clusters.items()),
            max(clusters),
        )
        for kind, clusters in clusters_by_kind(report).items()
    ]


@dataclass(frozen=True)
class StageRow:
    """A stage of the preparation."""

    name: str
    items: str
    documents_in: int | None
    """None: not known, or not what the stage counts."""
    documents_out: int | None
    state: str = ""
    """Empty where only data/report.json is known, which holds no times either."""
    seconds: float | None = None
    message: str = ""
    speed: str = ""
    """Of one worker: text a second, else documents a second; empty: not known."""


def stage_rows(records: Records) -> list[StageRow]:
    """Return the stages as status.json has them, otherwise as data/report.json does."""
    speeds = {timing.name: _speed(timing) for timing in records.timings}
    preparation = records.status.data_preparation if records.status else None
    if preparation and preparation.stages:
        return [
            StageRow(
                name=stage.name,
                items=f"{stage.completed:,} of {stage.total:,}",
                documents_in=stage.documents_in or None,
                documents_out=stage.documents_out if stage.documents_in else None,
                state=stage.state,
                seconds=_seconds_between(stage.started_at, stage.finished_at),
                message=stage.message or "",
                speed=speeds.get(stage.name, ""),
            )
            for stage in preparation.stages
        ]
    stages = records.data_report.stages if records.data_report else []
    return [
        StageRow(
            one.name, formats.count(one.items), one.documents_in, one.documents_out, speed=speeds.get(one.name, "")
        )
        for one in stages
    ]


def _speed(timing: StageReport) -> str:
    if timing.seconds <= 0:
        return ""
    if timing.bytes_in:
        return f"{timing.bytes_in / 1e6 / timing.seconds:.3g} MB/s"
    return f"{formats.compact(timing.documents_in / timing.seconds)} documents/s" if timing.documents_in else ""


@dataclass(frozen=True)
class LanguageRow:
    """What is kept of a language."""

    language: str
    """"not known": of sources that don't name theirs."""
    documents: int
    bytes: int
    tokens: int


def languages(report: DataReport) -> list[LanguageRow]:
    """Return the languages that sources name, the one with most tokens first; nothing if none does."""
    if not any(source.language for source in report.sources):
        return []
    sums: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for source in report.sources:
        row = sums[source.language or "not known"]
        row[0] += source.documents_kept
        row[1] += source.bytes_kept
        row[2] += source.train_tokens
    rows = [LanguageRow(language, *row) for language, row in sums.items()]
    return sorted(rows, key=lambda row: (-row.tokens, row.language))


def removed_files(records: Records) -> list[str]:
    """Return where removed documents were written out, if the job asked for it."""
    if not records.spec.get("data", {}).get("keepRemoved"):
        return []
    return ["data/clean/*/removed.parquet", "data/tokenized/*.duplicates.parquet"]


def _seconds_between(start: str | None, end: str | None) -> float | None:
    first, last = formats.parse_time(start), formats.parse_time(end)
    return (last - first).total_seconds() if first and last else None
