"""data/report.json: the funnel from the manifests and statistics of all units."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from pretrain_api.names import Component
from pretrain_api.spec.data import Source
from pretrain_api.wire import BlendSource, DataReport, RemovalReport, SourceReport, StageReport, TopicCluster
from pretrain_dataprep.cleaned import CleanedCorpus, CleanedUnit
from pretrain_dataprep.cleaning.unit import FILTERS_INPUT, read_statistics
from pretrain_dataprep.context import StageContext
from pretrain_dataprep.decontamination.evaluation_sets import INPUT_PREFIX as EVALUATION_SET
from pretrain_dataprep.dedup.banding import choose_bands
from pretrain_dataprep.dedup.embedding_model import INPUT_PREFIX as EMBEDDING_MODEL
from pretrain_dataprep.dedup.layout import CLUSTERS, REASONS, clusters_folder
from pretrain_dataprep.sources.sharing import unevenness

_SAMPLES = 3
_CONTAMINATED_ITEMS = 1000
_NOT_FILES_OF_SOURCES = (EVALUATION_SET, EMBEDDING_MODEL, FILTERS_INPUT)


def data_report(
    context: StageContext,
    corpus: CleanedCorpus,
    sources: list[BlendSource],
    bytes_kept: dict[str, int],
    vocab_size: int,
) -> DataReport:
    """Gather the report. It holds no times: like all data it is the same bytes every time.

    Args:
        context: The stage's context.
        corpus: All cleaned units.
        sources: The blend's sources, in the order of the job's.
        bytes_kept: Bytes of text that were tokenized, by source.
        vocab_size: Size of the vocabulary.
    """
    clusters = json.loads((clusters_folder(context) / CLUSTERS).read_bytes())
    reports = []
    for spec, blended in zip(context.data.sources, sources, strict=True):
        units = [unit for unit in corpus.units if unit.source.name == spec.name]
        report = _source_report(spec, blended, units, clusters)
        reports.append(report.model_copy(update={"bytes_kept": bytes_kept[spec.name]}))
    tokens = sum(source.train_tokens + source.validation_tokens + source.test_tokens for source in sources)
    kept = sum(bytes_kept.values())
    return DataReport(
        sources=reports,
        stages=_stages(corpus, clusters, sources),
        duplicate_clusters={
            kind: {int(size): count for size, count in sizes.items()}
            for kind, sizes in clusters["clusterSizes"].items()
        },
        topic_clusters=[TopicCluster.model_validate(one) for one in clusters.get("topicClusters", [])],
        topic_cluster_cap=clusters.get("topicClusterCap"),
        cut_bytes=sum(clusters.get("cutBytesByUnit", {}).values()),
        contamination=_contamination(corpus),
        vocab_size=vocab_size,
        settings=_settings(context, kept / tokens if tokens else None),
    )


def _settings(context: StageContext, bytes_a_token: float | None) -> dict[str, Any]:
    data = context.data
    settings: dict[str, Any] = {
        "cleanPreset": data.clean.preset,
        "shards": data.shards,
        "bytesPerToken": None if bytes_a_token is None else round(bytes_a_token, 4),
    }
    if data.dedup.near is not None:
        near = data.dedup.near
        band_count, row_count = choose_bands(near.threshold, near.permutations)
        settings |= {"minhashBands": band_count, "minhashRows": row_count, "minhashThreshold": near.threshold}
    return settings


def _source_report(
    spec: Source, blended: BlendSource, units: list[CleanedUnit], clusters: dict[str, Any]
) -> SourceReport:
    counts: Counter[str] = Counter()
    redacted: Counter[str] = Counter()
    removed_lines: Counter[str] = Counter()
    languages: Counter[str] = Counter()
    language_bytes: Counter[str] = Counter()
    tagged: Counter[str] = Counter()
    histogram: Counter[int] = Counter()
    bad_samples: list[str] = []
    for unit in units:
        counts.update(unit.manifest.counts)
        redacted.update(unit.manifest.redacted)
        statistics = read_statistics(unit.folder)
        histogram.update({int(bucket): count for bucket, count in statistics["lengthHistogram"].items()})
        removed_lines.update(statistics["removedLines"])
        languages.update(statistics["languages"])
        # Units that an older version cleaned haven't counted them; an upgrade amid a job mustn't end it.
        language_bytes.update(statistics.get("languageBytes", {}))
        tagged.update(statistics["tagged"])
        bad_samples += statistics["badRecordSamples"]
    return SourceReport(
        name=spec.name,
        uri=spec.uri,
        license=spec.license,
        language=spec.language,
        files=_files(units),
        uneven=_unevenness(units),
        documents_read=counts["documentsIn"],
        bytes_read=counts["bytesIn"],
        bad_records=counts["badRecords"],
        bad_record_samples=bad_samples[:_SAMPLES],
        removed=_removed_by_rules(units) + _removed_as_duplicates(spec, units, clusters),
        removed_lines=dict(sorted(removed_lines.items())),
        languages=dict(languages.most_common()),
        language_bytes={language: language_bytes[language] for language, _ in languages.most_common()},
        tagged=dict(sorted(tagged.items())),
        redacted=dict(sorted(redacted.items())),
        documents_kept=blended.documents,
        train_tokens=blended.train_tokens,
        validation_tokens=blended.validation_tokens,
        test_tokens=blended.test_tokens,
        length_histogram={str(bucket): count for bucket, count in sorted(histogram.items())},
    )


def _contamination(corpus: CleanedCorpus) -> dict[str, int]:
    """Return the documents that overlap with each item of the evaluation sets, those of most documents first."""
    hits: Counter[str] = Counter()
    for unit in corpus.units:
        hits.update(read_statistics(unit.folder)["contamination"])
    return dict(sorted(hits.items(), key=lambda item: (-item[1], item[0]))[:_CONTAMINATED_ITEMS])


def _files(units: list[CleanedUnit]) -> int:
    """Count the files; the ranges that a large one is cut into may be in several units."""
    paths = {entry.path for unit in units for entry in unit.manifest.recipe.inputs}
    return len({path.rsplit("[", 1)[0] for path in paths if not path.startswith(_NOT_FILES_OF_SOURCES)})


def _unevenness(units: list[CleanedUnit]) -> str | None:
    read = [
        [entry for entry in unit.manifest.recipe.inputs if not entry.path.startswith(_NOT_FILES_OF_SOURCES)]
        for unit in units
    ]
    largest = max((entry for entries in read for entry in entries), key=lambda entry: entry.size, default=None)
    if largest is None:
        return None
    return unevenness([sum(entry.size for entry in entries) for entries in read], largest.path, largest.size)


def _removed_by_rules(units: list[CleanedUnit]) -> list[RemovalReport]:
    removed: Counter[str] = Counter()
    samples: dict[str, list[str]] = {}
    for unit in units:
        removed.update(unit.manifest.removed)
        for reason, some in read_statistics(unit.folder)["removedSamples"].items():
            samples.setdefault(reason, []).extend(some)
    return [
        RemovalReport(stage=Component.CLEAN, reason=reason, documents=count, samples=samples.get(reason, [])[:_SAMPLES])
        for reason, count in removed.most_common()
    ]


def _removed_as_duplicates(spec: Source, units: list[CleanedUnit], clusters: dict[str, Any]) -> list[RemovalReport]:
    reports = []
    for reason in REASONS:
        count = sum(clusters["removedByUnit"][unit.name][reason] for unit in units)
        if count:
            samples = clusters["samples"].get(spec.name, {}).get(reason, [])
            reports.append(RemovalReport(stage="dedup", reason=reason, documents=count, samples=samples))
    return reports


def _stages(corpus: CleanedCorpus, clusters: dict[str, Any], sources: list[BlendSource]) -> list[StageReport]:
    counts: Counter[str] = Counter()
    for unit in corpus.units:
        counts.update(unit.manifest.counts)
    duplicates = sum(sum(by_reason.values()) for by_reason in clusters["removedByUnit"].values())
    documents = sum(source.documents for source in sources)
    left = counts["documentsOut"] - duplicates
    shards = len(corpus.units) // max(1, len(sources))
    return [
        StageReport(
            name=Component.CLEAN,
            items=shards,
            documents_in=counts["documentsIn"],
            documents_out=counts["documentsOut"],
            bytes_in=counts["bytesIn"],
        ),
        StageReport(name="dedup", items=shards, documents_in=counts["documentsOut"], documents_out=left),
        StageReport(name=Component.TOKENIZE, items=shards, documents_in=left, documents_out=documents),
    ]
