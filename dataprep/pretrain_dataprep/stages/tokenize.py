"""tokenize: turns what survived of each source's shard into .bin/.idx pairs for training and validation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import compute

from pretrain_api.names import Component
from pretrain_api.resolve import content_hash
from pretrain_dataprep import manifests
from pretrain_dataprep.bookkeeping import write_timing
from pretrain_dataprep.choice import fractions
from pretrain_dataprep.cleaned import CleanedUnit, load_unit
from pretrain_dataprep.context import StageContext
from pretrain_dataprep.documents import read_row_groups
from pretrain_dataprep.duplicates import write_duplicates
from pretrain_dataprep.errors import ConfigurationError, TemporaryError
from pretrain_dataprep.files import remove_leftovers
from pretrain_dataprep.manifests import MANIFEST_NAME, Input, Manifest, Recipe
from pretrain_dataprep.megatron import PairWriter, write_pair
from pretrain_dataprep.progress import log
from pretrain_dataprep.surviving import clusters_manifest, content_hashes_by_row, kept_mask, removed_rows_input
from pretrain_dataprep.tokenizers.sentencepiece_model import MODEL_NAME, SentencePieceTokenizer

CODE_VERSION = "tokenize/1"

_DOCUMENTS_AT_A_TIME = 64


def manifest_path(context: StageContext, unit_name: str) -> Path:
    """Return where the manifest of a tokenized unit is."""
    return context.layout.tokenized / f"{unit_name}.{MANIFEST_NAME}"


def unit_recipe(context: StageContext, unit: CleanedUnit, clusters: Manifest, tokenizer: Input) -> Recipe:
    """Return what a tokenized unit is made from."""
    inputs = [
        manifests.combined_input(f"data/clean/{unit.name}", [unit.folder / MANIFEST_NAME]),
        removed_rows_input(clusters, unit),
        tokenizer,
    ]
    validation = context.data.split.validation
    configuration = {
        "validation": validation,
        "seed": context.seed if validation else None,
        "keepRemoved": context.data.keep_removed,
    }
    return Recipe(Component.TOKENIZE, unit.name, content_hash(configuration), CODE_VERSION, inputs)


def tokenizer_input(context: StageContext) -> Input:
    """Return the tokenizer as an input. Raises TemporaryError if it isn't there as its manifest says."""
    folder = context.layout.tokenizer
    try:
        manifest = manifests.read_manifest(folder / MANIFEST_NAME)
    except (OSError, ValueError) as error:
        raise TemporaryError(f"{folder}: the tokenizer isn't there ({error}); run the tokenizer stage first") from error
    damage = manifests.damaged_output(folder, manifest)
    if damage is not None:
        raise TemporaryError(f"{damage}; run the tokenizer stage again")
    model = next(output for output in manifest.outputs if output.path == MODEL_NAME)
    return Input(f"data/tokenizer/{MODEL_NAME}", model.size, model.xxh3)


def run(context: StageContext) -> dict[str, int]:
    """Do the unit of every source at this index."""
    clusters, tokenizer = clusters_manifest(context), tokenizer_input(context)
    units = [load_unit(context, source, context.index) for source in context.data.sources]
    context.progress.bytes_total = sum(unit.manifest.counts["bytesOut"] for unit in units)
    counts: Counter[str] = Counter()
    for unit in units:
        counts.update(_do_unit(context, unit, unit_recipe(context, unit, clusters, tokenizer)))
    write_timing(context, counts)
    return dict(counts)


def _do_unit(context: StageContext, unit: CleanedUnit, recipe: Recipe) -> dict[str, int]:
    path = manifest_path(context, unit.name)
    for suffix in ("train.bin", "train.idx", "validation.bin", "validation.idx", "duplicates.parquet", MANIFEST_NAME):
        remove_leftovers(path.with_name(f"{unit.name}.{suffix}"))
    reason = manifests.why_to_do(path, recipe)
    if reason is None:
        log(f"{unit.name}: done already, and nothing it depends on has changed")
        return manifests.read_manifest(path).counts
    log(f"{unit.name}: {reason}")
    # Without its manifest a unit doesn't exist, whatever files are there.
    path.unlink(missing_ok=True)
    manifest = _write(context, unit, recipe, path.parent)
    manifests.write_manifest(path, manifest)
    return manifest.counts


def _write(context: StageContext, unit: CleanedUnit, recipe: Recipe, folder: Path) -> Manifest:
    tokenizer = SentencePieceTokenizer(context.layout.tokenizer / MODEL_NAME)
    end = tokenizer.special_tokens.eos
    if end is None:
        raise ConfigurationError(
            "spec.data.tokenizer.uri: the tokenizer has no end-of-sequence token (</s>); it needs one"
        )
    dtype = tokenizer.token_dtype()
    validation = fractions(content_hashes_by_row(unit), context.seed, "validation") < context.data.split.validation
    prefixes = [folder / f"{unit.name}.train", folder / f"{unit.name}.validation"]
    size = 0
    with write_pair(prefixes[0], dtype) as train, write_pair(prefixes[1], dtype) as held_back:
        for rows, texts in _batches(unit, kept_mask(context, unit)):
            bytes_in = int(compute.binary_length(texts).to_numpy().sum())
            for row, tokens in zip(rows, tokenizer.encode(texts.to_pylist()), strict=True):
                _writer_of(validation[row], train, held_back).add([*tokens, end])
            size += bytes_in
            context.progress.add(len(rows), len(rows), bytes_in)
    counts = {
        "documentsIn": unit.documents,
        "documentsOut": train.documents + held_back.documents,
        "bytesIn": size,
        "trainDocuments": train.documents,
        "trainTokens": train.tokens,
        "validationDocuments": held_back.documents,
        "validationTokens": held_back.tokens,
    }
    names = [f"{prefix.name}.{suffix}" for prefix in prefixes for suffix in ("bin", "idx")]
    if context.data.keep_removed:
        names.append(f"{unit.name}.duplicates.parquet")
        write_duplicates(context, unit, folder / names[-1])
    return Manifest(recipe, manifests.describe_outputs(folder, names), counts)


def _writer_of(is_validation: bool, train: PairWriter, held_back: PairWriter) -> PairWriter:
    return held_back if is_validation else train


def _batches(unit: CleanedUnit, kept: np.ndarray) -> Iterator[tuple[np.ndarray, pa.Array]]:
    """Yield rows and texts of what survived, a few documents at a time."""
    for group in read_row_groups(unit):
        places = np.flatnonzero(kept[group.first_row : group.first_row + len(group.texts)])
        for first in range(0, len(places), _DOCUMENTS_AT_A_TIME):
            some = places[first : first + _DOCUMENTS_AT_A_TIME]
            yield group.first_row + some, group.texts.take(pa.array(some))
