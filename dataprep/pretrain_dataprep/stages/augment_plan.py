"""augment-plan: decides which documents are augmented, and fetches dictionaries, once for all work items."""

from __future__ import annotations

from pathlib import Path

from pretrain_api.names import Component
from pretrain_api.resolve import content_hash
from pretrain_api.spec.augment import Augmentation
from pretrain_dataprep import manifests
from pretrain_dataprep.augmentation.dictionary import read_dictionary
from pretrain_dataprep.augmentation.plan import dictionary_name, make_plan
from pretrain_dataprep.bookkeeping import write_timing
from pretrain_dataprep.cleaned import load_corpus
from pretrain_dataprep.context import StageContext
from pretrain_dataprep.dedup.layout import clusters_folder
from pretrain_dataprep.files import json_bytes
from pretrain_dataprep.filtering.given import given_inputs
from pretrain_dataprep.folders import Made, make_folder
from pretrain_dataprep.manifests import MANIFEST_NAME, Recipe
from pretrain_dataprep.progress import log
from pretrain_dataprep.surviving import clusters_manifest

CODE_VERSION = "augment-plan/1"


def run(context: StageContext) -> dict[str, int]:
    """Write data/augmentation/."""
    if not context.data.augment:
        return {}
    corpus = load_corpus(context)

    def make(folder: Path) -> Made:
        for entry in context.data.augment:
            _write(context, entry, folder)
        context.progress.add(corpus.documents, corpus.documents)
        # Each document is looked at, whether it is taken or not.
        return Made({"documentsIn": corpus.documents, "documentsOut": corpus.documents})

    counts = make_folder(context.layout.augmentation, _recipe(context, corpus.as_input()), make).counts
    write_timing(context, counts)
    return counts


def _recipe(context: StageContext, corpus: manifests.Input) -> Recipe:
    data = context.data
    configuration = {
        "augment": [[each.name, each.share, each.dictionary] for each in data.augment],
        "split": [data.split.validation, data.split.test],
        "seed": context.seed,
    }
    clusters_manifest(context)
    inputs = [corpus, manifests.combined_input("data/dedup/clusters", [clusters_folder(context) / MANIFEST_NAME])]
    inputs += given_inputs(dict.fromkeys(each.dictionary for each in data.augment if each.dictionary is not None))
    return Recipe(Component.AUGMENT_PLAN, "augmentation", content_hash(configuration), CODE_VERSION, inputs)


def _write(context: StageContext, entry: Augmentation, folder: Path) -> None:
    if entry.dictionary is not None:
        (folder / dictionary_name(entry)).write_bytes(json_bytes(read_dictionary(entry.dictionary)))
    plan = make_plan(context, entry)
    plan.save(folder, entry)
    if not plan.buckets.any() or (entry.partner is not None and not plan.partner_buckets.any()):
        log(
            f"{entry.name}: nothing is made: no document fits into {entry.share:g} of {plan.source_bytes:,} bytes; "
            "raise share"
        )
