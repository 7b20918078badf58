"""The report's part about new documents."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import pyarrow.parquet as pq

from pretrain_api.spec.augment import Augmentation
from pretrain_api.wire import AugmentationReport
from pretrain_dataprep.augmentation.plan import load_plan
from pretrain_dataprep.augmentation.unit import AUGMENTED
from pretrain_dataprep.cleaning.unit_layout import excerpt
from pretrain_dataprep.context import StageContext, unit_name
from pretrain_dataprep.manifests import Manifest

_SAMPLES = 3


def augmentation_reports(context: StageContext, augmented: Mapping[str, Manifest]) -> list[AugmentationReport]:
    """Return what was made by each entry.

    Args:
        context: The stage's context.
        augmented: Manifests of the units of new documents by name.
    """
    return [_report(context, entry, augmented) for entry in context.data.augment]


def _report(context: StageContext, entry: Augmentation, augmented: Mapping[str, Manifest]) -> AugmentationReport:
    units = [unit_name(entry.name, shard) for shard in range(context.data.shards)]
    counts: Counter[str] = Counter()
    for unit in units:
        counts.update(augmented[unit].counts)
    return AugmentationReport(
        name=entry.name,
        source=entry.source,
        method=entry.method,
        partner=entry.partner,
        share=entry.share,
        source_bytes=load_plan(context, entry).source_bytes,
        documents_taken=counts["documentsTaken"],
        documents=counts["documentsOut"],
        bytes=counts["bytesOut"],
        unused=counts["unused"],
        too_long=counts["tooLong"],
        train_tokens=counts["trainTokens"],
        samples=_samples(context, units),
    )


def _samples(context: StageContext, units: list[str]) -> list[str]:
    samples: list[str] = []
    for unit in units:
        table = pq.ParquetFile(context.layout.tokenized / f"{unit}.{AUGMENTED}")
        if len(samples) < _SAMPLES and table.num_row_groups:
            rows = table.read_row_group(0).slice(0, _SAMPLES - len(samples)).to_pylist()
            samples += [excerpt(f"{unit}:{number}", row["text"]) for number, row in enumerate(rows)]
    return samples
