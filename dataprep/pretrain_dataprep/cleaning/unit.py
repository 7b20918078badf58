"""One unit of the clean stage: one source, one shard."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pretrain_api.names import Component, Reason
from pretrain_api.resolve import content_hash
from pretrain_api.spec.data import Source as SourceSpec
from pretrain_dataprep import manifests
from pretrain_dataprep.context import StageContext, unit_name
from pretrain_dataprep.errors import InputError
from pretrain_dataprep.files import atomic_folder, remove_leftovers
from pretrain_dataprep.manifests import Input, Manifest, Recipe
from pretrain_dataprep.progress import log
from pretrain_dataprep.sources.interface import BadRecord, Chunk, Document, Source
from pretrain_dataprep.sources.opening import chunks_of_shard, open_source

CODE_VERSION = "clean/1"
"""Raise it when a change makes different bytes of the same input."""

BATCH_BYTES = 8 << 20
BATCH_DOCUMENTS = 8192
_LOGGED_BAD_RECORDS = 20


class CleanUnit:
    """Reads the unit's chunks, cleans them, writes data/clean/UNIT."""

    def __init__(self, context: StageContext, spec: SourceSpec) -> None:
        self._context = context
        self._spec = spec
        self._name = unit_name(spec.name, context.index)
        self._folder: Path = context.layout.clean / self._name
        self._source: Source = open_source(spec)
        self._chunks: list[Chunk] = []

    def list_chunks(self) -> int:
        """List what there is to read; return its bytes. Raises InputError where there is nothing."""
        self._chunks = chunks_of_shard(self._source.chunks(), self._context.index, self._context.data.shards)
        return sum(chunk.end - chunk.start for chunk in self._chunks)

    def run(self) -> Manifest:
        """Do the unit, or find that it is done."""
        for leftover in remove_leftovers(self._folder):
            log(f"{self._name}: removed {leftover}, left by a killed process")
        recipe = self._recipe()
        reason = manifests.why_to_do(self._folder / manifests.MANIFEST_NAME, recipe)
        if reason is None:
            log(f"{self._name}: done already, and nothing it depends on has changed")
            return manifests.read_manifest(self._folder / manifests.MANIFEST_NAME)
        log(f"{self._name}: {reason}")
        with atomic_folder(self._folder) as folder:
            manifest = self._write(folder, recipe)
            manifests.add_manifest(folder, manifest)
        return manifest

    def _recipe(self) -> Recipe:
        inputs = [
            Input(chunk.label, chunk.end - chunk.start, self._source.fingerprint(chunk)) for chunk in self._chunks
        ]
        return Recipe(Component.CLEAN, self._name, self._configuration(), CODE_VERSION, inputs)

    def _configuration(self) -> str:
        data = self._context.data
        parts: dict[str, Any] = {
            "source": self._spec.model_dump(
                mode="json", by_alias=True, include={"name", "format", "text_field", "language"}
            ),
            "clean": data.clean,
            "near": data.dedup.near and data.dedup.near.model_dump(mode="json", by_alias=True),
            "badRecords": data.bad_records,
            "keepRemoved": data.keep_removed,
            "seed": self._context.seed if data.clean.pii.redact else None,
        }
        return content_hash({key: _plain(value) for key, value in parts.items()})

    def _write(self, folder: Path, recipe: Recipe) -> Manifest:
        from pretrain_dataprep.cleaning.pipeline import Cleaner
        from pretrain_dataprep.cleaning.unit_writer import UnitWriter

        data = self._context.data
        cleaner = Cleaner(data, self._spec, self._context.seed)
        near = data.dedup.near
        writer = UnitWriter(folder, self._spec.name, near.permutations if near else None, data.keep_removed)
        reading = _Reading(self._source, self._chunks)
        try:
            for documents, bad in reading.batches():
                for record in bad:
                    writer.add_bad(record)
                    if reading.bad_records <= _LOGGED_BAD_RECORDS:
                        log(f"{record.location}: {record.cause}")
                before = writer.rows
                writer.add(documents, cleaner.clean(documents))
                self._context.progress.add(len(documents), writer.rows - before, reading.take_bytes())
        except BaseException:
            writer.abandon()
            raise
        names = writer.finish()
        reading.check(data.bad_records.max_fraction, self._spec.name)
        counts = {
            "files": len({chunk.path for chunk in self._chunks}),
            "documentsIn": reading.documents,
            "documentsOut": writer.rows,
            "bytesIn": reading.bytes,
            "bytesOut": writer.bytes,
            "badRecords": reading.bad_records,
        }
        outputs = manifests.describe_outputs(folder, names)
        return Manifest(
            recipe, outputs, counts, dict(sorted(writer.removed.items())), dict(sorted(writer.redacted.items()))
        )


def _plain(value: Any) -> Any:
    return value.model_dump(mode="json", by_alias=True) if hasattr(value, "model_dump") else value


class _Reading:
    """Reads chunks in batches and counts."""

    def __init__(self, source: Source, chunks: list[Chunk]) -> None:
        self._source = source
        self._chunks = chunks
        self._taken = 0
        self._first_bad: BadRecord | None = None
        self.documents = 0
        self.bytes = 0
        self.bad_records = 0

    def batches(self) -> Iterator[tuple[list[Document], list[BadRecord]]]:
        """Yield documents and bad records, at most about BATCH_BYTES at a time."""
        documents: list[Document] = []
        bad: list[BadRecord] = []
        size = 0
        for chunk in self._chunks:
            for record in self._source.read(chunk):
                if isinstance(record, BadRecord):
                    self._first_bad = self._first_bad or record
                    self.bad_records += 1
                    bad.append(record)
                    continue
                documents.append(record)
                length = len(record.text) if record.text.isascii() else len(record.text.encode())
                self.documents += 1
                self.bytes += length
                size += length
                if size >= BATCH_BYTES or len(documents) >= BATCH_DOCUMENTS:
                    yield documents, bad
                    documents, bad, size = [], [], 0
        if documents or bad:
            yield documents, bad

    def take_bytes(self) -> int:
        """Return the bytes read since the last call."""
        taken, self._taken = self.bytes - self._taken, self.bytes
        return taken

    def check(self, max_fraction: float, source: str) -> None:
        """Raise InputError if too many records are bad."""
        total = self.documents + self.bad_records
        if self._first_bad is None or self.bad_records <= max_fraction * total:
            return
        first = self._first_bad
        raise InputError(
            f"{first.location}: {first.cause}; {self.bad_records:,} of {total:,} records of source {source} in this "
            f"shard are bad, more than data.badRecords.maxFraction = {max_fraction:g}; mend or remove them, or raise "
            f"the share",
            Reason.TOO_MANY_BAD_RECORDS,
        )


def read_statistics(folder: Path) -> dict[str, Any]:
    """Return statistics.json of a unit."""
    statistics: dict[str, Any] = json.loads((folder / "statistics.json").read_bytes())
    return statistics
