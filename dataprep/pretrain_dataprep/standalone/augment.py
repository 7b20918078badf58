"""The block augment: reads documents, writes new ones as a source of their own."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import orjson
import zstandard

from pretrain_api.spec.data import Source
from pretrain_dataprep.augmentation.command import command_rewriter
from pretrain_dataprep.augmentation.dictionary import read_dictionary
from pretrain_dataprep.augmenting import Augmenter
from pretrain_dataprep.errors import ConfigurationError, InputError
from pretrain_dataprep.files import atomic_file
from pretrain_dataprep.sources.interface import Document
from pretrain_dataprep.sources.opening import open_source


def run_augment(options: argparse.Namespace) -> None:
    """Do the block.

    Raises:
        PreparationError: It can't be done.
    """
    if (options.method == "code-mix") != bool(options.other):
        raise ConfigurationError("augment: code-mix needs --other, and nothing else does; name or remove it")
    rewriter = command_rewriter(options.command, options.timeout_seconds) if options.command else None
    dictionary = read_dictionary(options.dictionary) if options.dictionary else None
    try:
        augmenter = Augmenter(options.method, options.share, options.seed, options.rate, dictionary, rewriter)
    except ValueError as error:
        raise ConfigurationError(f"augment: {error}") from error
    name = options.name or f"augmented-{options.method}"
    path = Path(options.output) / "documents" / f"{name}.jsonl.zst"
    documents = 0
    others = _texts(options.other, options)
    with atomic_file(path) as file, zstandard.ZstdCompressor().stream_writer(file, closefd=False) as out:
        try:
            for text in augmenter.augment(_texts(options.input, options), others):
                record = {"text": text, "source": name, "augmented": options.method}
                out.write(orjson.dumps(record) + b"\n")
                documents += 1
        except ValueError as error:
            raise InputError(f"{options.command}: {error}") from error
    print(f"{documents:,} new documents are in {path}")


def _texts(uris: list[str], options: argparse.Namespace) -> Iterator[str]:
    for uri in uris:
        given = {"name": "given", "uri": uri, "textField": options.text_field, "format": options.format}
        source = open_source(Source.model_validate(given))
        for chunk in source.chunks():
            yield from (record.text for record in source.read(chunk) if isinstance(record, Document))
