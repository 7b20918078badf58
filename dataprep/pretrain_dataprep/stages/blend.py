"""blend: checks that all data is there and current, then writes data/blend.json and data/report.json."""

from __future__ import annotations

from pretrain_api.names import PREPARATION_STAGES
from pretrain_api.wire import DataReport
from pretrain_dataprep.blending import blend_phases, check_sizes, check_vocabulary, planned_epochs, without_small_parts
from pretrain_dataprep.bookkeeping import stage_reports
from pretrain_dataprep.context import StageContext
from pretrain_dataprep.evaluation_files import copy_questions
from pretrain_dataprep.files import remove_leftovers, write_json
from pretrain_dataprep.gathering import gather, remove_stale_units
from pretrain_dataprep.ledger import note_prepared


def run(context: StageContext) -> dict[str, int]:
    """Write the blend and the report."""
    layout, spec = context.layout, context.job.spec
    for path in (layout.blend, layout.data_report):
        remove_leftovers(path)
    copy_questions(context)
    blend, report = gather(context)
    if context.data.prepared is None or context.data.curriculum or context.data.mixture:
        blend = blend.model_copy(update={"phases": blend_phases(context.data, blend.sources)})
    sequence_length = spec.training.sequence_length if spec.training else None
    phases = without_small_parts(blend.sources, blend.phases, sequence_length)
    blend = blend.model_copy(update={"phases": phases})
    check_vocabulary(spec, blend)
    check_sizes(blend.sources, blend.phases, sequence_length)
    epochs = planned_epochs(blend.sources, blend.phases, int(spec.training.tokens) if spec.training else None)
    report = _with_epochs(report, epochs)
    write_json(layout.data_report, report.model_dump(mode="json", by_alias=True))
    write_json(layout.blend, blend.model_dump(mode="json", by_alias=True))
    if context.data.sources:
        remove_stale_units(context)
    counts = _counts(report)
    _note(context, blend.fingerprint, counts)
    return counts


def _with_epochs(report: DataReport, epochs: dict[str, float | None]) -> DataReport:
    return report.model_copy(
        update={
            "sources": [s.model_copy(update={"planned_epochs": epochs[s.name]}) for s in report.sources],
            "augmented": [a.model_copy(update={"planned_epochs": epochs[a.name]}) for a in report.augmented],
        }
    )


def _counts(report: DataReport) -> dict[str, int]:
    augmented_tokens = sum(each.train_tokens for each in report.augmented)
    counts = {
        "documentsIn": sum(source.documents_read for source in report.sources),
        "documentsOut": sum(source.documents_kept for source in report.sources),
        "trainTokens": sum(source.train_tokens for source in report.sources) + augmented_tokens,
        "validationTokens": sum(source.validation_tokens for source in report.sources),
    }
    if report.augmented:
        augmented_documents = sum(each.documents for each in report.augmented)
        counts |= {"augmentedDocuments": augmented_documents, "augmentedTokens": augmented_tokens}
    return counts


def _note(context: StageContext, fingerprint: str, counts: dict[str, int]) -> None:
    stages = stage_reports(context, [stage.value for stage in PREPARATION_STAGES])
    times = {stage.name: stage.seconds for stage in stages}
    new = counts.get("augmentedDocuments", 0)
    augmented = f" ({counts['augmentedTokens']:,} of them in {new:,} new documents)" if new else ""
    message = (
        f"{counts['documentsOut']:,} of {counts['documentsIn']:,} documents kept, "
        f"{counts['trainTokens']:,} tokens to train on{augmented}, {counts['validationTokens']:,} to validate"
    )
    note_prepared(context.layout.ledger, fingerprint, {"message": message, "stageSeconds": times, **counts})
    timings = context.layout.root / "timings" / "stages.json"
    if stages:
        write_json(timings, [stage.model_dump(mode="json", by_alias=True) for stage in stages])
