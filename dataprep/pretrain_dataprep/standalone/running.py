"""Runs the stages that a block needs, one after the other, in this process or in several."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from pretrain_api.names import INDEXED_STAGES, Component
from pretrain_api.resolve import resolve
from pretrain_api.spec.job import PretrainJob
from pretrain_api.wire import REMOVED_COUNT_PREFIX, StorageLayout
from pretrain_dataprep.context import StageContext
from pretrain_dataprep.progress import log
from pretrain_dataprep.stages import stage_function
from pretrain_dataprep.standalone.writing import write_documents, write_removed

_DEDUP = (Component.FILTER_MODELS, Component.CLEAN, Component.DEDUP_PAIRS, Component.DEDUP_CLUSTERS)
STAGES: Mapping[str, tuple[Component, ...]] = {
    "clean": _DEDUP,
    "dedup": _DEDUP,
    "tokenizer": (*_DEDUP, Component.TOKENIZER),
    "tokenize": (*_DEDUP, Component.TOKENIZER, Component.AUGMENT_PLAN, Component.TOKENIZE, Component.BLEND),
}


def run_block(block: str, job: PretrainJob, output: Path, workers: int, output_format: str) -> None:
    """Do a block and say what came out.

    Args:
        block: Of STAGES.
        job: What the block stands for.
        output: Directory; its data/ is laid out as that of a job.
        workers: Work items done at a time.
        output_format: Of documents: jsonl or parquet.

    Raises:
        PreparationError: It can't be done.
    """
    output.mkdir(parents=True, exist_ok=True)
    job = resolve(job)
    counts: dict[str, int] = {}
    for stage in STAGES[block]:
        counts = run_stage(job, output, stage, workers)
    layout = StorageLayout(output)
    if block in ("clean", "dedup"):
        context = StageContext.of(job, output)
        kept = write_documents(context, output / "documents", output_format)
        print(f"{kept:,} documents are in {output / 'documents'}")
        if job.spec.data.keep_removed:
            removed = write_removed(context, output / "removed", output_format)
            print(f"{removed:,} removed documents are in {output / 'removed'}")
    elif block == "tokenizer":
        print(f"a tokenizer of {counts['vocabSize']:,} tokens is in {layout.tokenizer}")
    else:
        print(f"{counts['trainTokens']:,} tokens of {counts['documentsOut']:,} documents are in {layout.tokenized}")


def run_stage(job: PretrainJob, storage: Path, stage: Component, workers: int = 1) -> dict[str, int]:
    """Do all work items of a stage; return the sums of their counts. Raises PreparationError."""
    items = range(job.spec.data.shards if stage in INDEXED_STAGES else 1)
    if min(workers, len(items)) <= 1:
        results = [_run_item(job, storage, stage, index) for index in items]
    else:
        with ProcessPoolExecutor(min(workers, len(items))) as pool:
            futures = [pool.submit(_run_item, job, storage, stage, index) for index in items]
            results = [future.result() for future in futures]
    total: dict[str, int] = {}
    for counts in results:
        for name, count in counts.items():
            total[name] = total.get(name, 0) + count
    prefix = REMOVED_COUNT_PREFIX
    removed = [f"{name.removeprefix(prefix)} {n:,}" for name, n in total.items() if n and name.startswith(prefix)]
    if removed:
        log(f"{stage}: removed: {', '.join(removed)}")
    return total


def _run_item(job: PretrainJob, storage: Path, stage: Component, index: int) -> dict[str, int]:
    return stage_function(str(stage))(StageContext.of(job, storage, str(stage), index))
