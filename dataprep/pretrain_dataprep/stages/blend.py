"""blend: checks that all units are there and current, then writes data/blend.json and data/report.json."""

from __future__ import annotations

import re
import shutil

from pretrain_api.names import PREPARATION_STAGES
from pretrain_api.resolve import content_hash
from pretrain_api.wire import Blend, BlendSource
from pretrain_dataprep import manifests
from pretrain_dataprep.blending import blend_phases, blend_source, check_sizes, planned_epochs
from pretrain_dataprep.bookkeeping import stage_reports
from pretrain_dataprep.cleaned import CleanedCorpus, load_corpus
from pretrain_dataprep.context import StageContext
from pretrain_dataprep.errors import TemporaryError
from pretrain_dataprep.files import remove_leftovers, write_json
from pretrain_dataprep.ledger import note_prepared
from pretrain_dataprep.manifests import MANIFEST_NAME, Manifest
from pretrain_dataprep.progress import log
from pretrain_dataprep.reporting import data_report
from pretrain_dataprep.stages.tokenize import manifest_path, tokenizer_input, unit_recipe
from pretrain_dataprep.surviving import clusters_manifest
from pretrain_dataprep.tokenizers.sentencepiece_model import MODEL_NAME, SentencePieceTokenizer


def run(context: StageContext) -> dict[str, int]:
    """Write the blend and the report."""
    layout = context.layout
    for path in (layout.blend, layout.data_report):
        remove_leftovers(path)
    corpus = load_corpus(context)
    tokenized = _tokenized_units(context, corpus)
    sources = _sources(context, tokenized)
    phases = blend_phases(context.data, sources)
    training = context.job.spec.training
    check_sizes(sources, phases, training.sequence_length if training else None)
    tokenizer = SentencePieceTokenizer(layout.tokenizer / MODEL_NAME)
    blend = Blend(
        fingerprint=_fingerprint(context, tokenized),
        dtype="uint16" if tokenizer.token_dtype().__name__ == "uint16" else "int32",
        vocab_size=tokenizer.vocab_size,
        tokenizer="data/tokenizer",
        special_tokens=tokenizer.special_tokens,
        sources=sources,
        phases=phases,
    )
    epochs = planned_epochs(sources, phases, int(training.tokens) if training else None)
    report = data_report(context, corpus, sources, _bytes_kept(context, tokenized), epochs, tokenizer.vocab_size)
    write_json(layout.data_report, report.model_dump(mode="json", by_alias=True))
    write_json(layout.blend, blend.model_dump(mode="json", by_alias=True))
    _remove_stale_units(context)
    counts = {
        "documentsIn": sum(source.documents_read for source in report.sources),
        "documentsOut": sum(source.documents_kept for source in report.sources),
        "trainTokens": sum(source.train_tokens for source in sources),
        "validationTokens": sum(source.validation_tokens for source in sources),
    }
    _note(context, blend.fingerprint, counts)
    return counts


def _tokenized_units(context: StageContext, corpus: CleanedCorpus) -> dict[str, Manifest]:
    """Read the tokenized units. Raises TemporaryError that names the first one that is missing or out of date."""
    clusters, tokenizer = clusters_manifest(context), tokenizer_input(context)
    found = {}
    for unit in corpus.units:
        path = manifest_path(context, unit.name)
        reason = manifests.why_to_do(path, unit_recipe(context, unit, clusters, tokenizer))
        if reason is not None:
            raise TemporaryError(f"{path}: unit {unit.name} isn't tokenized: {reason}; run the tokenize stage again")
        found[unit.name] = manifests.read_manifest(path)
    return found


def _sources(context: StageContext, tokenized: dict[str, Manifest]) -> list[BlendSource]:
    counts: dict[str, list[dict[str, int]]] = {}
    for (source, _), manifest in zip(context.units, tokenized.values(), strict=True):
        counts.setdefault(source.name, []).append(manifest.counts)
    return [blend_source(source.name, source.epochs, counts[source.name]) for source in context.data.sources]


def _bytes_kept(context: StageContext, tokenized: dict[str, Manifest]) -> dict[str, int]:
    kept = {source.name: 0 for source in context.data.sources}
    for (source, _), manifest in zip(context.units, tokenized.values(), strict=True):
        kept[source.name] += manifest.counts["bytesIn"]
    return kept


def _fingerprint(context: StageContext, tokenized: dict[str, Manifest]) -> str:
    outputs = {name: [[output.path, output.xxh3] for output in item.outputs] for name, item in tokenized.items()}
    return content_hash({"outputs": outputs, "tokenizer": tokenizer_input(context).fingerprint})


def _remove_stale_units(context: StageContext) -> None:
    """Remove units of earlier settings: other sources, more shards. Nothing reads them, and they fill the storage."""
    names = {f"{source.name}-{shard:05d}" for source, shard in context.units}
    layout = context.layout
    for folder in layout.clean.iterdir():
        if folder.is_dir() and folder.name not in names:
            log(f"removed {layout.relative(folder)}: no unit of this job any more")
            shutil.rmtree(folder)
    for folder in layout.dedup.glob("pairs-*"):
        if int(folder.name.removeprefix("pairs-")) >= context.data.shards:
            log(f"removed {layout.relative(folder)}: no unit of this job any more")
            shutil.rmtree(folder)
    kinds = r"(?:train|validation)\.(?:bin|idx)|duplicates\.parquet|" + re.escape(MANIFEST_NAME)
    pattern = re.compile(rf"(?P<unit>.+)\.(?:{kinds})")
    for path in layout.tokenized.iterdir():
        match = pattern.fullmatch(path.name)
        if match and match["unit"] not in names:
            log(f"removed {layout.relative(path)}: no unit of this job any more")
            path.unlink()


def _note(context: StageContext, fingerprint: str, counts: dict[str, int]) -> None:
    stages = stage_reports(context, [stage.value for stage in PREPARATION_STAGES])
    times = {stage.name: stage.seconds for stage in stages}
    message = (
        f"{counts['documentsOut']:,} of {counts['documentsIn']:,} documents kept, "
        f"{counts['trainTokens']:,} tokens to train on, {counts['validationTokens']:,} to validate"
    )
    note_prepared(context.layout.ledger, fingerprint, {"message": message, "stageSeconds": times, **counts})
    timings = context.layout.root / "timings" / "stages.json"
    if stages:
        write_json(timings, [stage.model_dump(mode="json", by_alias=True) for stage in stages])
