"""One unit of the clean stage: one source, one shard."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pretrain_api.names import Component, Reason
from pretrain_api.resolve import changed_fields, content_hash
from pretrain_api.spec.data import Source as SourceSpec
from pretrain_api.spec.filters import CAPS
from pretrain_dataprep import manifests
from pretrain_dataprep.context import StageContext, unit_name
from pretrain_dataprep.decontamination import evaluation_sets
from pretrain_dataprep.dedup import embedding_model
from pretrain_dataprep.errors import DamagedFileError, InputError
from pretrain_dataprep.folders import Made, make_folder, read_folder
from pretrain_dataprep.manifests import Input, Manifest, Recipe
from pretrain_dataprep.progress import log
from pretrain_dataprep.sources.interface import BadRecord, Chunk, Document, Record, Source
from pretrain_dataprep.sources.opening import chunks_of_shard, open_source, uneven_chunks

CODE_VERSION = "clean/5"
"""Raise it when a change makes different bytes of the same input."""

FILTERS_INPUT = "data/filters"

BATCH_BYTES = 8 << 20
BATCH_DOCUMENTS = 8192
_LOGGED_BAD_RECORDS = 20


def filters_input(folder: Path) -> Input:
    """Return the filter models as an input. Raises MissingOutputError if they aren't there as their manifest says."""
    read_folder(folder, Component.FILTER_MODELS)
    return manifests.combined_input(FILTERS_INPUT, [folder / manifests.MANIFEST_NAME])


class CleanUnit:
    """Reads the unit's chunks, cleans them, writes data/clean/UNIT."""

    def __init__(self, context: StageContext, spec: SourceSpec) -> None:
        self._context = context
        self._spec = spec
        self._name = unit_name(spec.name, context.index)
        self._folder: Path = context.layout.clean / self._name
        self._source: Source = open_source(spec, context.data.shards, context.data.extract.extractor)
        self._chunks: list[Chunk] = []

    def list_chunks(self) -> int:
        """List what there is to read; return its bytes. Raises InputError where there is nothing."""
        chunks, shards = self._source.chunks(), self._context.data.shards
        if self._context.index == 0 and (note := uneven_chunks(chunks, shards)):
            log(f"source {self._spec.name}: {note}")
        self._chunks = chunks_of_shard(chunks, self._context.index, shards)
        return sum(chunk.end - chunk.start for chunk in self._chunks)

    def run(self) -> Manifest:
        """Do the unit, or find that it is done."""
        return make_folder(self._folder, self._recipe(), self._write)

    def _recipe(self) -> Recipe:
        inputs = [
            Input(chunk.label, chunk.end - chunk.start, self._source.fingerprint(chunk)) for chunk in self._chunks
        ]
        decontaminate = self._context.data.decontaminate
        if decontaminate is not None:
            inputs += evaluation_sets.inputs(decontaminate.against)
        semantic = self._context.data.dedup.semantic
        if semantic is not None:
            inputs += embedding_model.model_inputs(semantic.model)
        if self._context.data.clean.needs_models:
            inputs.append(filters_input(self._context.layout.filters))
        return Recipe(Component.CLEAN, self._name, self._configuration(), CODE_VERSION, inputs)

    def _configuration(self) -> str:
        data = self._context.data
        parts: dict[str, Any] = {
            "source": changed_fields(self._spec, include={"name", "format", "text_field", "language"}),
            "extract": data.extract,
            # Caps are applied to what deduplication leaves.
            "clean": changed_fields(data.clean, exclude={"clusters": set(CAPS)}),
            "near": data.dedup.near,
            "semantic": data.dedup.semantic is not None,
            "keepsQuality": data.dedup.keep == "quality",
            "passages": data.dedup.passages,
            "substring": data.dedup.substring,
            "decontaminate": data.decontaminate,
            "badRecords": data.bad_records,
            "keepRemoved": data.keep_removed,
            "seed": self._context.seed if data.clean.pii.redact else None,
        }
        return content_hash(parts)

    def _write(self, folder: Path) -> Made:
        from pretrain_dataprep.cleaning.pipeline import Cleaner
        from pretrain_dataprep.cleaning.unit_writer import UnitWriter
        from pretrain_dataprep.dedup.spans import span_finders

        data = self._context.data
        cleaner = Cleaner(data, self._spec, self._context.seed, self._context.layout.filters)
        writer = UnitWriter(
            folder,
            self._spec.name,
            cleaner.sketcher,
            span_finders(data.dedup),
            cleaner.embedder.dimensions if cleaner.embedder is not None else None,
            data.keep_removed,
            cleaner.numbers,
        )
        reading = _Reading(self._source, self._chunks, data.bad_records.damaged_files == "set-aside")
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
        writer.finish()
        reading.check(data.bad_records.max_fraction, self._spec.name)
        counts = {
            "files": len({chunk.path for chunk in self._chunks}),
            "documentsIn": reading.documents,
            "documentsOut": writer.rows,
            "bytesIn": reading.bytes,
            "bytesOut": writer.bytes,
            "badRecords": reading.bad_records,
        }
        return Made(counts, dict(sorted(writer.removed.items())), dict(sorted(writer.redacted.items())))


class _Reading:
    """Reads chunks in batches and counts."""

    def __init__(self, source: Source, chunks: list[Chunk], sets_damaged_files_aside: bool) -> None:
        self._source = source
        self._chunks = chunks
        self._sets_damaged_files_aside = sets_damaged_files_aside
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
            for record in self._records(chunk):
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

    def _records(self, chunk: Chunk) -> Iterator[Record]:
        try:
            yield from self._source.read(chunk)
        except DamagedFileError as error:
            if not self._sets_damaged_files_aside:
                raise
            yield BadRecord(chunk.path, 0, str(error).removeprefix(f"{chunk.path}: "), b"")

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
