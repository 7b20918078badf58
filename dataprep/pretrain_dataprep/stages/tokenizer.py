"""tokenizer: trains one on a sample of what survived, or takes a given one."""

from __future__ import annotations

from pathlib import Path

from pretrain_api.names import Component, Reason
from pretrain_api.resolve import content_hash
from pretrain_api.spec.data import TrainTokenizer
from pretrain_dataprep import manifests
from pretrain_dataprep.bookkeeping import write_timing
from pretrain_dataprep.cleaned import load_corpus
from pretrain_dataprep.context import StageContext
from pretrain_dataprep.dedup.layout import clusters_folder
from pretrain_dataprep.errors import ConfigurationError, InputError
from pretrain_dataprep.files import atomic_folder, json_bytes, remove_leftovers
from pretrain_dataprep.manifests import MANIFEST_NAME, Input, Manifest, Recipe
from pretrain_dataprep.progress import log
from pretrain_dataprep.sources.storage import file_store, hash_range
from pretrain_dataprep.surviving import clusters_manifest
from pretrain_dataprep.tokenizers.sentencepiece_model import DESCRIPTION_NAME, MODEL_NAME, SentencePieceTokenizer

CODE_VERSION = "tokenizer/1"


def run(context: StageContext) -> dict[str, int]:
    """Write data/tokenizer/."""
    folder = context.layout.tokenizer
    for leftover in remove_leftovers(folder):
        log(f"removed {leftover}, left by a killed process")
    recipe = _recipe(context)
    reason = manifests.why_to_do(folder / MANIFEST_NAME, recipe)
    if reason is None:
        log("done already, and nothing it depends on has changed")
        return manifests.read_manifest(folder / MANIFEST_NAME).counts
    log(f"tokenizer: {reason}")
    options = context.data.tokenizer
    with atomic_folder(folder) as temporary:
        counts = _fetch(str(options.uri), temporary) if options.uri else _train(context, temporary)
        tokenizer = SentencePieceTokenizer(temporary / MODEL_NAME)
        counts["vocabSize"] = tokenizer.vocab_size
        (temporary / DESCRIPTION_NAME).write_bytes(json_bytes(tokenizer.describe()))
        outputs = manifests.describe_outputs(temporary, [MODEL_NAME, DESCRIPTION_NAME])
        manifests.add_manifest(temporary, Manifest(recipe, outputs, counts))
    write_timing(context, counts)
    return counts


def _recipe(context: StageContext) -> Recipe:
    options = context.data.tokenizer
    if options.uri:
        inputs = [_given_model(options.uri)]
        return Recipe(Component.TOKENIZER, "tokenizer", content_hash({"given": True}), CODE_VERSION, inputs)
    data = context.data
    configuration = {
        "train": _training_options(context).model_dump(mode="json", by_alias=True),
        "seed": context.seed,
        "weights": {source.name: [source.weight, source.epochs] for source in data.sources},
        "curriculum": [phase.weights for phase in data.curriculum],
    }
    clusters_manifest(context)
    inputs = [manifests.combined_input("data/dedup/clusters", [clusters_folder(context) / MANIFEST_NAME])]
    return Recipe(Component.TOKENIZER, "tokenizer", content_hash(configuration), CODE_VERSION, inputs)


def _training_options(context: StageContext) -> TrainTokenizer:
    options = context.data.tokenizer
    if options.train is None:
        raise ConfigurationError("spec.data.tokenizer: only train and uri are available yet", Reason.NOT_AVAILABLE)
    return options.train


def _given_model(uri: str) -> Input:
    files = file_store(uri).list_files(uri)
    if len(files) != 1 or not files[0].path.endswith(".model"):
        raise ConfigurationError(
            f"spec.data.tokenizer.uri: {uri}: only a SentencePiece model (one file, .model) is available yet",
            Reason.NOT_AVAILABLE,
        )
    return Input(uri, files[0].size, hash_range(file_store(uri), files[0].path, 0, files[0].size, to_line_end=False))


def _fetch(uri: str, folder: Path) -> dict[str, int]:
    store = file_store(uri)
    with store.open(store.list_files(uri)[0].path) as file:
        (folder / MODEL_NAME).write_bytes(file.read())
    return {}


def _train(context: StageContext, folder: Path) -> dict[str, int]:
    from pretrain_dataprep.tokenizers.sampling import sample_documents, sentences
    from pretrain_dataprep.tokenizers.sentencepiece_training import train_sentencepiece

    options = _training_options(context)
    documents = sample_documents(context, load_corpus(context), options.sample_bytes)
    if not documents:
        raise InputError(
            "the tokenizer's sample is empty: the corpus is too small for the sources' weights; "
            "raise spec.data.tokenizer.train.sampleBytes or bring more text",
            Reason.EMPTY_CORPUS,
        )
    size = sum(map(len, documents))
    path = folder / "sentences.txt"
    with path.open("wb") as file:
        file.writelines(line + b"\n" for line in sentences(documents))
    counts = {"documentsIn": len(documents), "documentsOut": len(documents), "bytesIn": size}
    documents.clear()
    context.progress.say(f"training {options.vocab_size:,} pieces on {size / 1e6:,.1f} MB of text")
    train_sentencepiece(options, path, folder / MODEL_NAME)
    context.progress.say("")
    path.unlink()
    path.with_suffix(".json").unlink()
    return counts
