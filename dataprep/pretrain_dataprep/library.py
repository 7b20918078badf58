"""The blocks as functions, with the decisions that a job takes on the same text (docs/library.md).

Options are the models of `pretrain_api.spec.data`, or mappings with the names of their fields in YAML.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import orjson
from pydantic import BaseModel

from pretrain_api.names import Component
from pretrain_api.spec.data import Clean, Data, Source, TrainTokenizer
from pretrain_api.spec.dedup import Dedup, NearDeduplication
from pretrain_api.wire import StorageLayout
from pretrain_dataprep.augmenting import Augmenter
from pretrain_dataprep.cleaning.pipeline import Cleaner
from pretrain_dataprep.cleaning.unit_layout import TOPICS
from pretrain_dataprep.context import DEFAULT_SEED, StageContext
from pretrain_dataprep.dedup.layout import CLUSTER_CAP, REASONS, clusters_folder, rows_name, survivors_name
from pretrain_dataprep.dedup.sketching import sketcher_of
from pretrain_dataprep.errors import ConfigurationError
from pretrain_dataprep.megatron import write_pair
from pretrain_dataprep.sources.interface import Document
from pretrain_dataprep.text.batch import TextBatch
from pretrain_dataprep.tokenizers import folder as tokenizer_folder
from pretrain_dataprep.tokenizers.interface import Tokenizer, end_token, token_dtype
from pretrain_dataprep.topics.capping import surplus

__all__ = [
    "Augmenter",
    "Cleaned",
    "Deduplicated",
    "clean_documents",
    "deduplicate",
    "load_tokenizer",
    "minhash_signatures",
    "tokenize",
    "train_tokenizer",
]

_AT_A_TIME = 4096
Options = TypeVar("Options", bound=BaseModel)


def _options(model: type[Options], given: Options | Mapping[str, Any] | None) -> Options:
    return given if isinstance(given, model) else model.model_validate(dict(given or {}))


@dataclass(frozen=True)
class Cleaned:
    """What `clean_documents` kept and removed; indices count the texts that were given."""

    texts: list[str]
    indices: list[int]
    """Which of the given texts each one was."""
    removed: dict[int, str]
    """Reason by index."""
    redacted: dict[str, int]
    """Pieces of personal data that were replaced, by kind."""


def clean_documents(
    texts: Iterable[str],
    options: Clean | Mapping[str, Any] | None = None,
    *,
    language: str | None = None,
    seed: int = DEFAULT_SEED,
) -> Cleaned:
    """Normalise, filter and redact documents.

    Args:
        texts: The documents.
        options: As `spec.data.clean`; default: preset basic.
        language: Of the documents, where it is known: some rules are for some languages only.
        seed: Of the placeholders for personal data, and of which documents of a cluster stay.

    Raises:
        pydantic.ValidationError: The options aren't valid.
        PreparationError: A model that a filter needs can't be made or read.
    """
    clean = _options(Clean, options)
    data = Data(clean=clean, dedup=Dedup(exact="none", near=None))
    source = Source(name="given", uri="-", language=language)
    with tempfile.TemporaryDirectory(prefix="pretrain-") as folder:
        if clean.needs_models:
            texts = list(texts)
            _make_models(clean, texts, Path(folder))
        cleaner = Cleaner(data, source, seed, StorageLayout(folder).filters)
    result = Cleaned([], [], {}, {})
    topics: list[tuple[np.ndarray, np.ndarray]] = []
    for first, some in _batches(texts):
        documents = [Document(text, "", "", first + place) for place, text in enumerate(some)]
        batch = cleaner.clean(documents)
        result.texts.extend(document.decode() for document in batch.kept.documents())
        result.indices.extend(first + int(place) for place in batch.kept_from)
        result.removed.update({first + place: reason for place, reason in batch.removed})
        for kind, count in batch.redacted.items():
            result.redacted[kind] = result.redacted.get(kind, 0) + count
        if TOPICS in batch.numbers:
            topics.append((batch.numbers[TOPICS], batch.content_hashes))
    return _capped(result, topics, clean, seed)


def _capped(cleaned: Cleaned, batches: list[tuple[np.ndarray, np.ndarray]], clean: Clean, seed: int) -> Cleaned:
    """Remove what clusters have too much of; `batches` are clusters and content hashes of what `cleaned` has."""
    if clean.clusters is None or not batches:
        return cleaned
    topics, hashes = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    stays = ~surplus(topics, hashes, clean.clusters, seed)
    removed = {cleaned.indices[place]: REASONS[CLUSTER_CAP] for place in np.flatnonzero(~stays).tolist()}
    return Cleaned(
        [text for text, stay in zip(cleaned.texts, stays, strict=True) if stay],
        [index for index, stay in zip(cleaned.indices, stays, strict=True) if stay],
        dict(sorted((cleaned.removed | removed).items())),
        cleaned.redacted,
    )


def _make_models(clean: Clean, texts: list[str], storage: Path) -> None:
    """Train and fetch what filters need; percentiles are those of the texts."""
    from pretrain_dataprep.standalone.configuration import job_of
    from pretrain_dataprep.standalone.running import run_stage

    path = storage / "texts.jsonl"
    _write_texts(path, texts)
    settings = clean.model_dump(mode="json", by_alias=True, exclude_none=True)
    run_stage(job_of([str(path)], {"clean": settings}, "text", "jsonl"), storage, Component.FILTER_MODELS)


def _batches(texts: Iterable[str]) -> Iterable[tuple[int, list[str]]]:
    some: list[str] = []
    first = 0
    for text in texts:
        some.append(text)
        if len(some) == _AT_A_TIME:
            yield first, some
            first, some = first + len(some), []
    if some:
        yield first, some


def minhash_signatures(
    texts: Iterable[str], options: NearDeduplication | Mapping[str, Any] | None = None
) -> np.ndarray:
    """Return MinHash signatures: uint32, shape (documents, permutations).

    With equal scheme, seed and number of permutations they can be compared to datasketch's and put into its LSH.

    Args:
        texts: The documents, as they are: nothing is normalised.
        options: As `spec.data.dedup.near`; default: word 5-grams, 128 permutations.

    Raises:
        pydantic.ValidationError: The options aren't valid.
    """
    sketcher = sketcher_of(_options(NearDeduplication, options))
    pieces = [sketcher.sketch(TextBatch.of(text.encode() for text in some)).signatures for _, some in _batches(texts)]
    return np.concatenate(pieces) if pieces else np.empty((0, *sketcher.row_shape), sketcher.dtype)


@dataclass(frozen=True)
class Deduplicated:
    """What `deduplicate` kept and removed; indices count the texts that were given."""

    texts: list[str]
    """Without what was cut out of them."""
    indices: list[int]
    """Which of the given texts each one was."""
    duplicate_of: dict[int, int]
    """The document that stayed in the place of each one that went."""
    reasons: dict[int, str]
    """exact-duplicate, near-duplicate, … by index."""


def deduplicate(texts: Iterable[str], options: Dedup | Mapping[str, Any] | None = None) -> Deduplicated:
    """Find duplicates among documents; one of each cluster stays.

    Works through files in a temporary directory, as a job does: memory grows with the number of documents, not with
    their lengths.

    Args:
        texts: The documents.
        options: As `spec.data.dedup`; default: exact duplicates and near-duplicates by MinHash at 0.8.

    Raises:
        pydantic.ValidationError: The options aren't valid.
        PreparationError: There is no document.
    """
    from pretrain_dataprep.standalone.configuration import job_of
    from pretrain_dataprep.standalone.running import run_stage

    dedup = _options(Dedup, options).model_dump(mode="json", by_alias=True)
    with tempfile.TemporaryDirectory(prefix="pretrain-dedup-") as folder:
        path, storage = Path(folder, "texts.jsonl"), Path(folder, "storage")
        indices = _write_texts(path, texts)
        storage.mkdir()
        data = {"clean": {"preset": "none"}, "dedup": dedup, "shards": 1}
        job = job_of([str(path)], data, "text", "jsonl")
        for stage in (Component.CLEAN, Component.DEDUP_PAIRS, Component.DEDUP_CLUSTERS):
            run_stage(job, storage, stage)
        return _deduplicated(StageContext.of(job, storage), indices)


def _write_texts(path: Path, texts: Iterable[str]) -> dict[int, int]:
    """Write texts as JSON lines; return the index of each by the position of its line."""
    indices: dict[int, int] = {}
    with path.open("wb") as file:
        for index, text in enumerate(texts):
            indices[file.tell()] = index
            file.write(orjson.dumps({"text": text}) + b"\n")
    return indices


def _deduplicated(context: StageContext, indices: dict[int, int]) -> Deduplicated:
    from pretrain_dataprep.cleaned import load_corpus
    from pretrain_dataprep.standalone.writing import surviving_tables

    (unit,) = load_corpus(context).units
    folder = clusters_folder(context)
    rows, survivors = np.load(folder / rows_name(unit.name)), np.load(folder / survivors_name(unit.name))
    order = [indices[position] for position in unit_positions(unit.folder)]
    result = Deduplicated([], [], {}, {})
    for row, survivor in zip(rows.tolist(), survivors, strict=True):
        result.duplicate_of[order[row]] = order[int(survivor["row"])]
        result.reasons[order[row]] = REASONS[int(survivor["kind"])]
    for table in surviving_tables(context, unit):
        result.texts.extend(table["text"].to_pylist())
        result.indices.extend(indices[position] for position in table["position"].to_pylist())
    return result


def unit_positions(folder: Path) -> list[int]:
    """Return where each document of a cleaned unit was, by row."""
    import pyarrow.parquet as pq

    from pretrain_dataprep.cleaning.unit_layout import DOCUMENTS

    positions: list[int] = pq.read_table(folder / DOCUMENTS, columns=["position"])["position"].to_pylist()
    return positions


def train_tokenizer(
    texts: Iterable[str],
    folder: str | Path,
    options: TrainTokenizer | Mapping[str, Any] | None = None,
    *,
    reserve: Sequence[str] = (),
) -> Tokenizer:
    """Train a tokenizer and write it into a directory.

    Args:
        texts: What to train on; all of it is used.
        folder: Directory to write: tokenizer.model, or tokenizer.json and tokenizer_config.json.
        options: As `spec.data.tokenizer.train`; default: SentencePiece BPE of 32,000 pieces.
        reserve: Special tokens beside those that pad, begin and end, such as [MASK].

    Raises:
        pydantic.ValidationError: The options aren't valid.
        PreparationError: The vocabulary doesn't fit the text.
    """
    from pretrain_dataprep.tokenizers.training import train_tokenizer as train

    path = Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    train(_options(TrainTokenizer, options), reserve, [text.encode() for text in texts], path)
    return tokenizer_folder.load_tokenizer(path)


def load_tokenizer(folder: str | Path) -> Tokenizer:
    """Load a tokenizer from a directory with tokenizer.model or tokenizer.json.

    Raises:
        FileNotFoundError: There is none.
        PreparationError: It can't be read.
    """
    return tokenizer_folder.load_tokenizer(Path(folder))


def tokenize(texts: Iterable[str], tokenizer: Tokenizer, prefix: str | Path) -> int:
    """Write documents as Megatron's `prefix`.bin and `prefix`.idx, each closed by the token that ends a document.

    Args:
        texts: The documents, as they are.
        tokenizer: As of `train_tokenizer` or `load_tokenizer`.
        prefix: Path without suffix.

    Returns:
        The number of tokens.

    Raises:
        PreparationError: The tokenizer has no token that ends a document.
    """
    end = end_token(tokenizer)
    if end is None:
        raise ConfigurationError("the tokenizer has no token that ends a document (</s>, <|endoftext|>, [SEP])")
    with write_pair(Path(prefix), token_dtype(tokenizer.vocab_size)) as pair:
        for _, some in _batches(texts):
            for tokens in tokenizer.encode(some):
                pair.add(tokens, end)
    return pair.tokens
