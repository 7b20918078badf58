"""tokenizer: trains one on a sample of what survived, or takes a given one."""

from __future__ import annotations

from pathlib import Path

from pretrain_api.names import Component, Reason
from pretrain_api.resolve import content_hash
from pretrain_api.spec.data import TrainTokenizer
from pretrain_api.vocabulary import tokens_to_reserve
from pretrain_dataprep import manifests
from pretrain_dataprep.bookkeeping import write_timing
from pretrain_dataprep.cleaned import load_corpus
from pretrain_dataprep.context import StageContext
from pretrain_dataprep.dedup.layout import clusters_folder
from pretrain_dataprep.errors import ConfigurationError, InputError
from pretrain_dataprep.files import json_bytes
from pretrain_dataprep.folders import Made, make_folder
from pretrain_dataprep.manifests import MANIFEST_NAME, Recipe
from pretrain_dataprep.surviving import clusters_manifest
from pretrain_dataprep.tokenizers.folder import DESCRIPTION_NAME, load_tokenizer
from pretrain_dataprep.tokenizers.given import fetch, given_inputs
from pretrain_dataprep.tokenizers.interface import describe

CODE_VERSION = "tokenizer/2"


def run(context: StageContext) -> dict[str, int]:
    """Write data/tokenizer/."""
    counts = make_folder(context.layout.tokenizer, _recipe(context), lambda folder: _write(context, folder)).counts
    write_timing(context, counts)
    return counts


def _write(context: StageContext, folder: Path) -> Made:
    options = context.data.tokenizer
    counts: dict[str, int] = {}
    if options.uri:
        fetch(options, folder)
    else:
        counts = _train(context, folder)
    tokenizer = load_tokenizer(folder)
    counts["vocabSize"] = tokenizer.vocab_size
    (folder / DESCRIPTION_NAME).write_bytes(json_bytes(describe(tokenizer)))
    return Made(counts)


def _recipe(context: StageContext) -> Recipe:
    options = context.data.tokenizer
    if options.uri:
        configuration = {"given": True, "tiktoken": options.tiktoken}
        return Recipe(
            Component.TOKENIZER, "tokenizer", content_hash(configuration), CODE_VERSION, given_inputs(options)
        )
    data = context.data
    training = {
        "train": _training_options(context),
        "seed": context.seed,
        "weights": {source.name: [source.weight, source.epochs] for source in data.sources},
        "curriculum": [phase.weights for phase in data.curriculum],
        "reserved": tokens_to_reserve(context.job.spec),
    }
    clusters_manifest(context)
    inputs = [manifests.combined_input("data/dedup/clusters", [clusters_folder(context) / MANIFEST_NAME])]
    return Recipe(Component.TOKENIZER, "tokenizer", content_hash(training), CODE_VERSION, inputs)


def _train(context: StageContext, folder: Path) -> dict[str, int]:
    from pretrain_dataprep.tokenizers.sampling import sample_documents
    from pretrain_dataprep.tokenizers.training import train_tokenizer

    options = _training_options(context)
    documents = sample_documents(context, load_corpus(context), options.sample_bytes)
    if not documents:
        raise InputError(
            "the tokenizer's sample is empty: the corpus is too small for the sources' weights; "
            "raise spec.data.tokenizer.train.sampleBytes or bring more text",
            Reason.EMPTY_CORPUS,
        )
    size = sum(map(len, documents))
    counts = {"documentsIn": len(documents), "documentsOut": len(documents), "bytesIn": size}
    context.progress.say(f"training {options.vocab_size:,} pieces on {size / 1e6:,.1f} MB of text")
    train_tokenizer(options, tokens_to_reserve(context.job.spec), documents, folder)
    context.progress.say("")
    return counts


def _training_options(context: StageContext) -> TrainTokenizer:
    options = context.data.tokenizer
    if options.train is None:
        raise ConfigurationError("spec.data.tokenizer: nothing is given; write train, uri or tiktoken")
    return options.train
