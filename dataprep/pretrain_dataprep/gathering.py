"""What the blend is made of: units that this job tokenized, pairs that are ready, or what another job prepared."""

from __future__ import annotations

import re
import shutil

import numpy as np

from pretrain_api.names import Component
from pretrain_api.resolve import content_hash
from pretrain_api.wire import Blend, BlendSource, DataReport, SourceReport, SpecialTokens
from pretrain_dataprep import manifests
from pretrain_dataprep.augmentation.reporting import augmentation_reports
from pretrain_dataprep.augmentation.unit import AUGMENTED
from pretrain_dataprep.blending import blend_source, data_fingerprint
from pretrain_dataprep.cleaned import CleanedCorpus, load_corpus
from pretrain_dataprep.context import StageContext, unit_name
from pretrain_dataprep.errors import ConfigurationError, InputError, MissingOutputError
from pretrain_dataprep.manifests import MANIFEST_NAME, Manifest, Recipe
from pretrain_dataprep.prepared import read_prepared
from pretrain_dataprep.progress import log
from pretrain_dataprep.ready_tokens import ReadyPair, ready_source
from pretrain_dataprep.reporting import data_report
from pretrain_dataprep.stages.tokenize import augmented_recipe, manifest_path, unit_recipe, units_of
from pretrain_dataprep.surviving import clusters_manifest
from pretrain_dataprep.tokenizers.folder import load_tokenizer, tokenizer_input
from pretrain_dataprep.tokenizers.interface import token_dtype


def gather(context: StageContext) -> tuple[Blend, DataReport]:
    """Return blend and report without what depends on the planned training: phases and passes over the sources.

    Raises:
        PreparationError: Something is missing, damaged or out of date.
    """
    if context.data.prepared is not None:
        prepared = read_prepared(context.data.prepared)
        return prepared.blend, prepared.report
    return _gather_ready(context) if context.data.tokenized else _gather_own(context)


def _gather_own(context: StageContext) -> tuple[Blend, DataReport]:
    corpus = load_corpus(context)
    tokenized, augmented = _tokenized_units(context, corpus), _augmented_units(context, corpus)
    own = _sources(context, tokenized)
    sources = [*own, *_augmented_sources(context, augmented)]
    tokenizer = load_tokenizer(context.layout.tokenizer)
    blend = Blend(
        fingerprint=data_fingerprint(tokenized | augmented, tokenizer_input(context.layout)),
        dtype="uint16" if token_dtype(tokenizer.vocab_size) is np.uint16 else "int32",
        vocab_size=tokenizer.vocab_size,
        tokenizer="data/tokenizer",
        special_tokens=tokenizer.special_tokens,
        reserved_tokens=tokenizer.reserved_tokens,
        sources=sources,
        phases=[],
    )
    report = data_report(context, corpus, own, _bytes_kept(context, tokenized), tokenizer.vocab_size)
    return blend, report.model_copy(update={"augmented": augmentation_reports(context, augmented)})


def _tokenized_units(context: StageContext, corpus: CleanedCorpus) -> dict[str, Manifest]:
    """Read the tokenized units. Raises MissingOutputError that names the first one that is missing or out of date."""
    clusters, tokenizer = clusters_manifest(context), tokenizer_input(context.layout)
    return {unit.name: _current(context, unit_recipe(context, unit, clusters, tokenizer)) for unit in corpus.units}


def _augmented_units(context: StageContext, corpus: CleanedCorpus) -> dict[str, Manifest]:
    """Read the units of new documents, by name. Raises MissingOutputError as `_tokenized_units` does."""
    clusters, tokenizer = clusters_manifest(context), tokenizer_input(context.layout)
    return {
        recipe.unit: _current(context, recipe)
        for entry in context.data.augment
        for shard in range(context.data.shards)
        for recipe in [augmented_recipe(context, entry, units_of(entry, corpus.units, shard), clusters, tokenizer)]
    }


def _current(context: StageContext, recipe: Recipe) -> Manifest:
    path = manifest_path(context, recipe.unit)
    reason = manifests.why_to_do(path, recipe)
    if reason is not None:
        raise MissingOutputError(f"{path}: unit {recipe.unit} isn't tokenized: {reason}", Component.TOKENIZE)
    return manifests.read_manifest(path)


def _sources(context: StageContext, tokenized: dict[str, Manifest]) -> list[BlendSource]:
    counts: dict[str, list[dict[str, int]]] = {}
    for (source, _), manifest in zip(context.units, tokenized.values(), strict=True):
        counts.setdefault(source.name, []).append(manifest.counts)
    return [blend_source(source.name, source.epochs, counts[source.name]) for source in context.data.sources]


def _augmented_sources(context: StageContext, augmented: dict[str, Manifest]) -> list[BlendSource]:
    epochs = {source.name: source.epochs for source in context.data.sources}
    made = []
    for entry in context.data.augment:
        counts = [augmented[unit_name(entry.name, shard)].counts for shard in range(context.data.shards)]
        source = blend_source(entry.name, epochs[entry.source], counts)
        made.append(source.model_copy(update={"origin": entry.source}))
    return made


def _bytes_kept(context: StageContext, tokenized: dict[str, Manifest]) -> dict[str, int]:
    kept = {source.name: 0 for source in context.data.sources}
    for (source, _), manifest in zip(context.units, tokenized.values(), strict=True):
        kept[source.name] += manifest.counts["bytesIn"]
    return kept


def _gather_ready(context: StageContext) -> tuple[Blend, DataReport]:
    found = [ready_source(context, index) for index in range(len(context.data.tokenized))]
    vocab_size, special, reserved, tokenizer = _ready_vocabulary(context)
    for index, (_, pairs) in enumerate(found):
        _check_tokens(f"spec.data.tokenized[{index}].uri", pairs, vocab_size)
    content = {source.name: [pair.fingerprint for pair in pairs] for source, pairs in found}
    wide = any(pair.facts.dtype.itemsize > 2 for _, pairs in found for pair in pairs)
    sources = [source for source, _ in found]
    blend = Blend(
        fingerprint=content_hash({"pairs": content, "tokenizer": tokenizer, "vocabSize": vocab_size}),
        dtype="int32" if wide else "uint16",
        vocab_size=vocab_size,
        tokenizer="data/tokenizer",
        special_tokens=special,
        reserved_tokens=reserved,
        sources=sources,
        phases=[],
    )
    return blend, DataReport(
        sources=[_ready_report(context, index, source) for index, source in enumerate(sources)], vocab_size=vocab_size
    )


def _ready_vocabulary(context: StageContext) -> tuple[int, SpecialTokens, dict[str, int], str | None]:
    """Return size, special and reserved tokens, and fingerprint of the tokenizer, where there is one."""
    options, model = context.data.tokenizer, context.job.spec.model
    if options.uri is not None:
        fingerprint = tokenizer_input(context.layout).fingerprint
        tokenizer = load_tokenizer(context.layout.tokenizer)
        return tokenizer.vocab_size, tokenizer.special_tokens, tokenizer.reserved_tokens, fingerprint
    if model is None or model.vocab_size is None:
        raise ConfigurationError(
            "spec.data.tokenizer.uri: is missing; name the tokenizer the tokens were made with, or spec.model.vocabSize"
        )
    return model.vocab_size, SpecialTokens(), {}, None


def _check_tokens(field: str, pairs: list[ReadyPair], vocab_size: int) -> None:
    for pair in pairs:
        if pair.greatest_token >= vocab_size:
            raise InputError(
                f"{field}: {pair.prefix}.bin: has token {pair.greatest_token:,}, and the vocabulary has only "
                f"{vocab_size:,}: it was made with another tokenizer; correct spec.data.tokenizer.uri or the pair"
            )


def _ready_report(context: StageContext, index: int, source: BlendSource) -> SourceReport:
    return SourceReport(
        name=source.name,
        uri=context.data.tokenized[index].uri,
        files=len(source.pairs),
        documents_read=source.documents,
        documents_kept=source.documents,
        train_tokens=source.train_tokens,
        validation_tokens=source.validation_tokens,
    )


def remove_stale_units(context: StageContext) -> None:
    """Remove units of earlier settings: other sources, more shards. Nothing reads them, and they fill the storage."""
    names = {unit_name(source.name, shard) for source, shard in context.units}
    layout = context.layout
    for folder in layout.clean.iterdir():
        if folder.is_dir() and folder.name not in names:
            log(f"removed {layout.relative(folder)}: no unit of this job any more")
            shutil.rmtree(folder)
    for folder in layout.dedup.glob("pairs-*"):
        if int(folder.name.removeprefix("pairs-")) >= context.data.shards:
            log(f"removed {layout.relative(folder)}: no unit of this job any more")
            shutil.rmtree(folder)
    names |= {unit_name(each.name, shard) for each in context.data.augment for shard in range(context.data.shards)}
    if layout.augmentation.exists() and not context.data.augment:
        log(f"removed {layout.relative(layout.augmentation)}: this job augments nothing any more")
        shutil.rmtree(layout.augmentation)
    kinds = r"(?:train|validation|test)\.(?:bin|idx)|duplicates\.parquet|" + "|".join(
        re.escape(name) for name in (AUGMENTED, MANIFEST_NAME)
    )
    pattern = re.compile(rf"(?P<unit>.+)\.(?:{kinds})")
    for path in layout.tokenized.iterdir():
        match = pattern.fullmatch(path.name)
        if match and match["unit"] not in names:
            log(f"removed {layout.relative(path)}: no unit of this job any more")
            path.unlink()
