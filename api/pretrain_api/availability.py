"""What the contract names but this version doesn't do yet."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from pretrain_api.problems import Finding
from pretrain_api.spec.job import PretrainJob, PretrainJobSpec


@dataclass(frozen=True)
class _Entry:
    """A part of the contract that isn't there yet."""

    path: str
    what: Callable[[PretrainJobSpec], Any]
    """Returns what is asked for and not available, for the message; None: nothing is."""
    instead: str


def _not(value: Any, *available: Any) -> Any:
    return None if value in available else value


def _given(name: str, value: Any) -> str | None:
    return name if value else None


_ENTRIES: tuple[_Entry, ...] = (
    _Entry("spec.data.tokenized", lambda s: _given("tokenized", s.data.tokenized), "write sources"),
    _Entry("spec.data.prepared", lambda s: _given("prepared", s.data.prepared), "write sources"),
    _Entry(
        "spec.data.clean.preset",
        lambda s: _not(s.data.clean.preset, "basic", "gopher", "none"),
        "write basic, gopher or none",
    ),
    _Entry("spec.data.clean.language", lambda s: _given("language", s.data.clean.language), "remove it"),
    _Entry("spec.data.clean.toxicity", lambda s: _given("toxicity", s.data.clean.toxicity is not None), "remove it"),
    _Entry(
        "spec.data.dedup.near.method",
        lambda s: _not(s.data.dedup.near.method, "minhash") if s.data.dedup.near else None,
        "write minhash",
    ),
    _Entry(
        "spec.data.dedup.near.unit",
        lambda s: _given("character n-grams", s.data.dedup.near is not None and s.data.dedup.near.unit == "character"),
        "write word",
    ),
    _Entry("spec.data.decontaminate", lambda s: _given("decontaminate", s.data.decontaminate), "remove it"),
    _Entry(
        "spec.data.tokenizer.train.algorithm",
        lambda s: (
            _not(s.data.tokenizer.train.algorithm, "sentencepiece-bpe", "sentencepiece-unigram")
            if s.data.tokenizer.train
            else None
        ),
        "write sentencepiece-bpe or sentencepiece-unigram",
    ),
    _Entry(
        "spec.data.tokenizer.tiktoken", lambda s: _given("tiktoken", s.data.tokenizer.tiktoken), "write train or uri"
    ),
    _Entry(
        "spec.data.tokenizer.uri",
        lambda s: None if (s.data.tokenizer.uri or ".model").endswith(".model") else s.data.tokenizer.uri,
        "write the uri of a SentencePiece model (.model), or train",
    ),
    _Entry("spec.objective.type", lambda s: _not(s.objective.type, "causal-lm"), "write causal-lm"),
    *(
        _Entry(
            f"spec.training.parallelism.{name}",
            lambda s, name=name: (  # type: ignore[misc]
                f"{name} {getattr(s.training.parallelism, name)}"
                if s.training and getattr(s.training.parallelism, name) > 1
                else None
            ),
            "write 1, and shard by zero",
        )
        for name in ("tensor", "pipeline", "expert")
    ),
    _Entry(
        "spec.training.parallelism.offload",
        lambda s: _not(s.training.parallelism.offload, "none", "cpu") if s.training else None,
        "write none or cpu",
    ),
)

# Formats of files that people have corpora in and that aren't read.
_UNREAD_SUFFIX = re.compile(
    r"\.(parquet|warc|csv|tsv|xml|pdf|epub|docx?|arrow|feather|tfrecord|tar|zip|7z|bin|idx)(\.(gz|zst))?$|\.(bz2|xz|lz4)$"
)
_PII_KINDS = ("email", "phone", "ip")
_FORMATS = ("auto", "jsonl", "text", "html")


def unavailable(job: PretrainJob) -> Iterator[Finding]:
    """Yield path and message of everything `job` asks for that this version can't do."""
    for entry in _ENTRIES:
        what = entry.what(job.spec)
        if what is not None:
            yield Finding(entry.path, _message(what, entry.instead))
    yield from _sources(job)
    yield from _pii(job.spec.data.clean.pii.redact)


def _message(what: Any, instead: str) -> str:
    return f"{what} is not available in this version; {instead}"


def _sources(job: PretrainJob) -> Iterator[Finding]:
    for index, source in enumerate(job.spec.data.sources):
        if source.format not in _FORMATS:
            yield Finding(f"spec.data.sources[{index}].format", _message(source.format, "convert the files to jsonl"))
        elif source.format == "auto" and (suffix := _UNREAD_SUFFIX.search(source.uri.lower())):
            yield Finding(f"spec.data.sources[{index}].uri", _message(suffix[0], "convert the files to jsonl"))


def _pii(kinds: Iterable[str]) -> Iterator[Finding]:
    for index, kind in enumerate(kinds):
        if kind not in _PII_KINDS:
            yield Finding(f"spec.data.clean.pii.redact[{index}]", _message(kind, f"write {', '.join(_PII_KINDS)}"))
