"""tokenize: turns what survived of each source's shard into .bin/.idx pairs: training, validation, test; then makes new
documents of what is to train on (data.augment), each entry a pair of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa

from pretrain_api.names import Component
from pretrain_api.resolve import changed_fields, content_hash
from pretrain_api.spec.augment import Augmentation
from pretrain_dataprep import manifests
from pretrain_dataprep.augmentation.command import command_inputs
from pretrain_dataprep.augmentation.plan import plan_inputs, plan_manifest
from pretrain_dataprep.augmentation.unit import AUGMENTED, AugmentedUnit
from pretrain_dataprep.bookkeeping import write_timing
from pretrain_dataprep.cleaned import CleanedUnit, load_unit
from pretrain_dataprep.context import StageContext, unit_name
from pretrain_dataprep.duplicates import write_duplicates
from pretrain_dataprep.errors import ConfigurationError
from pretrain_dataprep.files import remove_leftovers
from pretrain_dataprep.manifests import MANIFEST_NAME, Input, Manifest, Recipe
from pretrain_dataprep.megatron import write_pair
from pretrain_dataprep.progress import log
from pretrain_dataprep.surviving import (
    PARTS,
    clusters_manifest,
    cuts_inputs,
    kept_mask,
    part_by_row,
    read_surviving,
    removed_rows_input,
)
from pretrain_dataprep.text.batch import TextBatch
from pretrain_dataprep.tokenizers.folder import load_tokenizer, tokenizer_input
from pretrain_dataprep.tokenizers.interface import Tokenizer, end_token, token_dtype

CODE_VERSION = "tokenize/2"
AUGMENTED_CODE_VERSION = "augmented/1"

_NOT_OF_THE_TEXT = {"share", "dictionary", "timeout_seconds"}
"""Of an entry: what is in the plan, and what changes no text."""
_DOCUMENTS_AT_A_TIME = 64


def manifest_path(context: StageContext, unit_name: str) -> Path:
    """Return where the manifest of a tokenized unit is."""
    return context.layout.tokenized / f"{unit_name}.{MANIFEST_NAME}"


def unit_recipe(context: StageContext, unit: CleanedUnit, clusters: Manifest, tokenizer: Input) -> Recipe:
    """Return what a tokenized unit is made from."""
    inputs = [*_unit_inputs(clusters, unit), tokenizer]
    split = context.data.split
    configuration = {
        "validation": split.validation,
        "seed": context.seed if split.validation or split.test else None,
        "keepRemoved": context.data.keep_removed,
    }
    if split.test:
        configuration["test"] = split.test
    return Recipe(Component.TOKENIZE, unit.name, content_hash(configuration), CODE_VERSION, inputs)


def _unit_inputs(clusters: Manifest, unit: CleanedUnit) -> list[Input]:
    return [
        manifests.combined_input(f"data/clean/{unit.name}", [unit.folder / MANIFEST_NAME]),
        removed_rows_input(clusters, unit),
        *cuts_inputs(clusters, unit),
    ]


def augmented_recipe(
    context: StageContext, entry: Augmentation, units: list[CleanedUnit], clusters: Manifest, tokenizer: Input
) -> Recipe:
    """Return what the new documents of one entry and shard are made from; `units`: the source's and the partner's."""
    configuration = {
        "entry": changed_fields(entry, exclude=_NOT_OF_THE_TEXT),
        "split": [context.data.split.validation, context.data.split.test],
        "seed": context.seed,
    }
    inputs = [each for unit in units for each in _unit_inputs(clusters, unit)]
    inputs += [*plan_inputs(plan_manifest(context.layout.augmentation), entry), *command_inputs(entry), tokenizer]
    name = unit_name(entry.name, units[0].shard)
    return Recipe(Component.TOKENIZE, name, content_hash(configuration), AUGMENTED_CODE_VERSION, inputs)


def units_of(entry: Augmentation, units: list[CleanedUnit], shard: int) -> list[CleanedUnit]:
    """Return the units of one shard that an entry takes documents from: the source's and the partner's."""
    return [
        unit
        for name in (entry.source, entry.partner)
        for unit in units
        if unit.source.name == name and unit.shard == shard
    ]


def run(context: StageContext) -> dict[str, int]:
    """Do the unit of every source at this index, and what is made of them."""
    clusters, tokenizer = clusters_manifest(context), tokenizer_input(context.layout)
    units = [load_unit(context, source, context.index) for source in context.data.sources]
    context.progress.bytes_total = sum(unit.manifest.counts["bytesOut"] for unit in units)
    counts: Counter[str] = Counter()
    for unit in units:
        recipe = unit_recipe(context, unit, clusters, tokenizer)
        counts.update(_do(context, recipe, partial(_write, context, unit, recipe)).counts)
    for entry in context.data.augment:
        some = units_of(entry, units, context.index)
        recipe = augmented_recipe(context, entry, some, clusters, tokenizer)
        made = _do(context, recipe, partial(_write_augmented, context, entry, some, recipe)).counts
        counts.update(augmentedDocuments=made["trainDocuments"], augmentedTokens=made["trainTokens"])
    write_timing(context, counts)
    return dict(counts)


def _do(context: StageContext, recipe: Recipe, write: Callable[[Path], Manifest]) -> Manifest:
    """Do a unit, or find that it is done. `write` writes its files into a folder."""
    path = manifest_path(context, recipe.unit)
    pairs = [f"{part}.{suffix}" for part in PARTS for suffix in ("bin", "idx")]
    for suffix in (*pairs, "duplicates.parquet", AUGMENTED, MANIFEST_NAME):
        remove_leftovers(path.with_name(f"{recipe.unit}.{suffix}"))
    reason = manifests.why_to_do(path, recipe)
    if reason is None:
        log(f"{recipe.unit}: done already, and nothing it depends on has changed")
        return manifests.read_manifest(path)
    log(f"{recipe.unit}: {reason}")
    # Without its manifest a unit doesn't exist, whatever files are there.
    path.unlink(missing_ok=True)
    if not context.data.split.test:
        for suffix in ("bin", "idx"):
            path.with_name(f"{recipe.unit}.test.{suffix}").unlink(missing_ok=True)
    manifest = write(path.parent)
    manifests.write_manifest(path, manifest)
    return manifest


def _write_augmented(
    context: StageContext, entry: Augmentation, units: list[CleanedUnit], recipe: Recipe, folder: Path
) -> Manifest:
    unit = AugmentedUnit(context, entry, units[0], units[1] if entry.partner is not None else None)
    return unit.write(recipe, folder, *_tokenizer(context))


def _tokenizer(context: StageContext) -> tuple[Tokenizer, int]:
    """Return the tokenizer, and its token that ends a document."""
    tokenizer = load_tokenizer(context.layout.tokenizer)
    end = end_token(tokenizer)
    if end is None:
        raise ConfigurationError(
            "spec.data.tokenizer.uri: the tokenizer has no token that ends a document (</s>, <|endoftext|>, [SEP]); it "
            "needs one"
        )
    return tokenizer, end


def _write(context: StageContext, unit: CleanedUnit, recipe: Recipe, folder: Path) -> Manifest:
    tokenizer, end = _tokenizer(context)
    dtype = token_dtype(tokenizer.vocab_size)
    parts = part_by_row(context, unit)
    size = 0
    with ExitStack() as stack:
        names = PARTS if context.data.split.test else PARTS[:2]
        pairs = [stack.enter_context(write_pair(folder / f"{unit.name}.{name}", dtype)) for name in names]
        for rows, texts in _batches(context, unit):
            for row, tokens in zip(rows, tokenizer.encode_batch(texts).documents(), strict=True):
                pairs[parts[row]].add(tokens, end)
            size += len(texts.text)
            context.progress.add(len(rows), len(rows), len(texts.text))
    counts = {
        "documentsIn": unit.documents,
        "documentsOut": sum(pair.documents for pair in pairs),
        "bytesIn": size,
    }
    for name, pair in zip(names, pairs, strict=True):
        counts |= {f"{name}Documents": pair.documents, f"{name}Tokens": pair.tokens}
    files = [f"{unit.name}.{name}.{suffix}" for name in names for suffix in ("bin", "idx")]
    if context.data.keep_removed:
        files.append(f"{unit.name}.duplicates.parquet")
        write_duplicates(context, unit, folder / files[-1])
    return Manifest(recipe, manifests.describe_outputs(folder, files), counts)


def _batches(context: StageContext, unit: CleanedUnit) -> Iterator[tuple[np.ndarray, TextBatch]]:
    """Yield rows and texts of what survived, a few documents at a time."""
    kept = kept_mask(context, unit)
    for group in read_surviving(context, unit):
        places = np.flatnonzero(kept[group.first_row : group.first_row + len(group.texts)])
        for first in range(0, len(places), _DOCUMENTS_AT_A_TIME):
            some = places[first : first + _DOCUMENTS_AT_A_TIME]
            yield group.first_row + some, TextBatch.of_column(group.texts.take(pa.array(some)))
