"""clean: reads a shard of every source, normalises, filters, redacts, hashes and signs it."""

from __future__ import annotations

from collections import Counter

from pretrain_dataprep.augmentation.unit import check_augmentation
from pretrain_dataprep.bookkeeping import write_timing
from pretrain_dataprep.cleaning.unit import CleanUnit
from pretrain_dataprep.context import StageContext
from pretrain_dataprep.errors import InputError
from pretrain_dataprep.progress import log


def run(context: StageContext) -> dict[str, int]:
    """Do the unit of every source at this index. A source that fails doesn't keep the others from being done."""
    check_augmentation(context)
    failures: list[InputError] = []
    units: list[CleanUnit] = []
    for source in context.data.sources:
        try:
            unit = CleanUnit(context, source)
            context.progress.bytes_total += unit.list_chunks()
            units.append(unit)
        except InputError as error:
            failures.append(error)
    counts: Counter[str] = Counter()
    for unit in units:
        try:
            counts.update(unit.run().summary())
        except InputError as error:
            failures.append(error)
    if failures:
        for other in failures[1:]:
            log(str(other))
        raise failures[0]
    write_timing(context, counts)
    return dict(counts)
