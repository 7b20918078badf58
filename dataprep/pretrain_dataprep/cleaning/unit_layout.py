"""The files of a cleaned unit.

    documents.parquet     text, path, position, id, tags of each kept document; a row group a batch
    content-hashes.npy    uint64 (documents, 2), sorted; content-rows.npy: uint32, the row of each
    band-keys.npy         uint64 (documents × keys,), sorted; band-rows.npy: uint32, the row of each
    signatures.npy        uint32 (documents, permutations) of MinHash, uint64 (documents,) of SimHash
    shingles.npy          uint32: the sets of shingles, sorted, one document after the other (dedup.near.verify)
    shingle-ends.npy      int64 (documents,): where each document's end
    passages-keys.npy     uint64 (passages,): runs of sorted keys, whose ends are in passages-runs.npy (dedup.passages)
    passages-spans.npy    (row, start, end) uint32 each: bytes of a document, in the same order
    windows-….npy         the same of all windows of words (dedup.substring)
    embeddings.npy        int8 (documents, dimensions) (dedup.semantic)
    topic-clusters.npy    uint16 (documents,): the cluster of each, 0xFFFF: none (clean.clusters)
    quality.npy           float32 (documents,): scores of clean.quality (dedup.keep: quality)
    characters.npy        uint32 (documents,); sizes.npy: uint32 (documents,), bytes; ids.npy: uint64 (documents,)
    bad-records.jsonl     {"location", "cause", "raw"} of what couldn't be read
    removed.parquet       text, path, position, reason of removed documents (data.keepRemoved)
    statistics.json       length histogram, samples, lines removed, languages, tags, documents that overlap with each
                          item of the evaluation sets

Keys are sorted so that a range of them is a contiguous slice, found by binary search in the mapped file.
"""

from __future__ import annotations

DOCUMENTS = "documents.parquet"
REMOVED = "removed.parquet"
CONTENT_HASHES, CONTENT_ROWS = "content-hashes.npy", "content-rows.npy"
BAND_KEYS, BAND_ROWS = "band-keys.npy", "band-rows.npy"
SIGNATURES = "signatures.npy"
SHINGLES, SHINGLE_ENDS = "shingles.npy", "shingle-ends.npy"
EMBEDDINGS = "embeddings.npy"
TOPICS, QUALITY = "topic-clusters.npy", "quality.npy"
CHARACTERS, SIZES, IDS = "characters.npy", "sizes.npy", "ids.npy"
BAD_RECORDS = "bad-records.jsonl"
STATISTICS = "statistics.json"

_SAMPLE_CHARACTERS = 200


def span_keys(kind: str) -> str:
    """Return the name of the file with the keys of spans."""
    return f"{kind}-keys.npy"


def span_values(kind: str) -> str:
    """Return the name of the file with the spans."""
    return f"{kind}-spans.npy"


def span_runs(kind: str) -> str:
    """Return the name of the file with the ends of the sorted runs."""
    return f"{kind}-runs.npy"


def excerpt(location: str, text: str) -> str:
    """Return the beginning of a document for a report, on one line."""
    beginning = " ".join(text[: 2 * _SAMPLE_CHARACTERS].split())
    cut = beginning[:_SAMPLE_CHARACTERS] + ("…" if len(beginning) > _SAMPLE_CHARACTERS else "")
    return f"{location}: {cut}"
