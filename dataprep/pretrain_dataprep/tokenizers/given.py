"""A tokenizer that the user names: which kind it is, and its files."""

from __future__ import annotations

from pathlib import Path

from pretrain_api.spec.data import Tokenizer as Options
from pretrain_dataprep.errors import ConfigurationError
from pretrain_dataprep.files import json_bytes
from pretrain_dataprep.manifests import Input
from pretrain_dataprep.sources.storage import StoredFile, file_store, hash_range
from pretrain_dataprep.tokenizers.huggingface import CONFIG_NAME, MAP_NAME, TOKENIZER_NAME
from pretrain_dataprep.tokenizers.sentencepiece_model import MODEL_NAME

_FIELD = "spec.data.tokenizer.uri"
_HUGGING_FACE = (TOKENIZER_NAME, CONFIG_NAME, MAP_NAME)


def given_inputs(options: Options) -> list[Input]:
    """Return the files of the tokenizer as inputs. Raises ConfigurationError where there is none."""
    uri = str(options.uri)
    store = file_store(uri)
    files = store.list_files(uri) if options.tiktoken is not None else list(_files(uri).values())
    return [
        Input(file.path, file.size, hash_range(store, file.path, 0, file.size, to_line_end=False)) for file in files
    ]


def fetch(options: Options, folder: Path) -> None:
    """Write the tokenizer's files into `folder`.

    Raises:
        ConfigurationError: There is no tokenizer of a kind that is known.
        InputError: A file can't be read.
    """
    uri = str(options.uri)
    if options.tiktoken is not None:
        _fetch_encoding(options.tiktoken, uri, folder)
        return
    store = file_store(uri)
    for name, file in _files(uri).items():
        with store.open(file.path) as source:
            (folder / name).write_bytes(source.read())


def _files(uri: str) -> dict[str, StoredFile]:
    """Return the files of a SentencePiece model or a Hugging Face tokenizer by the names that they have with us."""
    listed = file_store(uri).list_files(uri)
    if len(listed) == 1 and listed[0].path.endswith(".model"):
        return {MODEL_NAME: listed[0]}
    if len(listed) == 1 and listed[0].path.endswith(".tiktoken"):
        raise ConfigurationError(
            f"{_FIELD}: {uri}: the file doesn't say how text is split before it is encoded; write the name of the "
            "encoding, too, as tiktoken: cl100k_base"
        )
    if len(listed) == 1 and listed[0].path.endswith(".json"):
        return {TOKENIZER_NAME: listed[0]}
    here = {file.path.rsplit("/", 1)[-1]: file for file in listed if "/" not in file.relative_path}
    if TOKENIZER_NAME in here:
        return {name: here[name] for name in _HUGGING_FACE if name in here}
    models = [file for name, file in here.items() if name.endswith(".model")]
    if len(models) == 1:
        return {MODEL_NAME: models[0]}
    raise ConfigurationError(
        f"{_FIELD}: {uri}: no tokenizer there: neither tokenizer.json nor a .model file; write the uri of one, or of "
        "the directory it is in"
    )


def _fetch_encoding(name: str, uri: str, folder: Path) -> None:
    from pretrain_dataprep.tokenizers.tiktoken_conversion import tokenizer_json
    from pretrain_dataprep.tokenizers.tiktoken_encoding import ENCODING_NAME, encoding_document, read_encoding

    encoding = read_encoding(name, uri)
    (folder / ENCODING_NAME).write_bytes(json_bytes(encoding_document(encoding)))
    (folder / TOKENIZER_NAME).write_bytes(json_bytes(tokenizer_json(encoding)))
