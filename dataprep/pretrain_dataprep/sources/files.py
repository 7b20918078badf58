"""A source made of files: what is listed, how it is cut into chunks, who reads it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

from pretrain_api.names import Reason
from pretrain_api.spec.data import Source as SourceSpec
from pretrain_dataprep.errors import DamagedFileError, InputError
from pretrain_dataprep.progress import log
from pretrain_dataprep.sources import records
from pretrain_dataprep.sources.decompress import CheckedReader, is_compressed, open_uncompressed, uncompressed_name
from pretrain_dataprep.sources.extraction import extractor
from pretrain_dataprep.sources.interface import BadRecord, Chunk, Record
from pretrain_dataprep.sources.parquet import ParquetTable
from pretrain_dataprep.sources.storage import FileStore, StoredFile, file_store, hash_range, hash_ranges, hash_version
from pretrain_dataprep.sources.warc import read_warc

MAX_CHUNK_BYTES = 64 << 20
MIN_CHUNK_BYTES = 1 << 20
CHUNKS_A_SHARD = 4
"""Uncompressed JSON lines and Parquet files are cut into ranges: at least so many a shard where there is enough text,
so that shards differ by a quarter at most. Part of what a unit is: never change it lightly."""

_FORMAT_BY_SUFFIX = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".txt": "text",
    ".text": "text",
    ".md": "text",
    ".rst": "text",
    ".html": "html",
    ".htm": "html",
    ".xhtml": "html",
    ".parquet": "parquet",
    ".warc": "warc",
}


def chunk_bytes(total_bytes: int, shards: int) -> int:
    """Return the size of the ranges that files of `total_bytes` together are cut into.

    A power of two, so that a corpus that grows a little is cut where it was cut before.
    """
    aim = total_bytes // (CHUNKS_A_SHARD * shards)
    return min(MAX_CHUNK_BYTES, max(MIN_CHUNK_BYTES, 1 << max(0, aim.bit_length() - 1)))


class FileSource:
    """The files of one source of the job."""

    def __init__(
        self, spec: SourceSpec, shards: int = 1, extractor_name: str = "selectolax", chunk_bytes: int | None = None
    ) -> None:
        self._spec = spec
        self._shards = shards
        self._extract = extractor(extractor_name)
        self._chunk_bytes = chunk_bytes

    @cached_property
    def _store(self) -> FileStore:
        return file_store(self._spec.uri)

    def format_of(self, path: str) -> str | None:
        """Return the format of a file, None if its suffix doesn't say."""
        if self._spec.format != "auto":
            return self._spec.format
        name = uncompressed_name(path)
        return next((kind for suffix, kind in _FORMAT_BY_SUFFIX.items() if name.endswith(suffix)), None)

    def chunks(self) -> list[Chunk]:
        """List the chunks in the order of the paths. Raises InputError if there is nothing to read."""
        listed = self._store.list_files(self._spec.uri)
        files = [file for file in listed if self.format_of(file.path) is not None]
        if not files:
            raise InputError(
                f"{self._spec.uri}: no file with a known suffix ({', '.join(_FORMAT_BY_SUFFIX)}, also .gz and .zst); "
                f"set the source's format, or check the uri",
                Reason.MISSING_DATA,
            )
        if len(files) < len(listed):
            log(f"{self._spec.uri}: {len(listed) - len(files)} files of unknown suffix are left out")
        step = self._chunk_bytes or chunk_bytes(sum(file.size for file in files), self._shards)
        return [chunk for file in files for chunk in self._cut(file, step)]

    def _cut(self, file: StoredFile, step: int) -> Iterator[Chunk]:
        step = step if self._is_splittable(file.path) else max(file.size, 1)
        for start in range(0, max(file.size, 1), step):
            yield Chunk(file.path, file.relative_path, start, min(start + step, file.size), file.size)

    def _is_splittable(self, path: str) -> bool:
        return self.format_of(path) in ("jsonl", "parquet") and not is_compressed(path)

    def fingerprint(self, chunk: Chunk) -> str:
        """Return the hash of what reading the chunk reads."""
        if self.format_of(chunk.path) != "parquet":
            to_line_end = self._is_splittable(chunk.path)
            return hash_range(self._store, chunk.path, chunk.start, chunk.end, to_line_end)
        version = self._store.version(chunk.path)
        if version is not None:
            return hash_version(version, chunk.start, chunk.end)
        with self._store.open(chunk.path) as file:
            try:
                return hash_ranges(file, ParquetTable(file, chunk).read_ranges())
            except DamagedFileError:
                # Reading says what is wrong with it.
                return hash_ranges(file, [(chunk.start, chunk.end)])

    def read(self, chunk: Chunk) -> Iterator[Record]:
        """Yield the records of a chunk."""
        kind = self.format_of(chunk.path)
        if kind == "parquet":
            with self._store.open(chunk.path) as file:
                yield from ParquetTable(file, chunk).records(self._spec.text_field)
            return
        with open_uncompressed(self._store.open(chunk.path), chunk.path) as reader:
            if kind == "text":
                yield from records.read_text_file(reader, chunk)
            elif kind == "html":
                yield from records.read_html_file(reader, chunk, self._extract)
            elif kind == "warc":
                yield from read_warc(reader, chunk, self._extract)
            elif self._is_splittable(chunk.path):
                yield from self._read_lines_of_range(reader, chunk)
            else:
                yield from records.read_json_lines(reader, chunk, self._spec.text_field, None)

    def _read_lines_of_range(self, reader: CheckedReader, chunk: Chunk) -> Iterator[Record]:
        """Read the lines that start in the chunk's range; count the lines before it only if a record is bad."""
        if chunk.start > 0:
            # The line that covers the byte before the range belongs to the chunk before.
            reader.seek(chunk.start - 1)
            records.skip_to_line_end(reader, chunk.end)
        lines_before: int | None = None
        for record in records.read_json_lines(reader, chunk, self._spec.text_field, chunk.end):
            if isinstance(record, BadRecord) and chunk.start > 0:
                lines_before = self._count_lines(chunk) if lines_before is None else lines_before
                yield record._replace(line=record.line + lines_before)
            else:
                yield record

    def _count_lines(self, chunk: Chunk) -> int:
        """Return the lines that start before the chunk's range."""
        count, left = 0, chunk.start - 1
        with self._store.open(chunk.path) as file:
            while left > 0 and (block := file.read(min(left, 1 << 20))):
                count += block.count(b"\n")
                left -= len(block)
        return count + 1
