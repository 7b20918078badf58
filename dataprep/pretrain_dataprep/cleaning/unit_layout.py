"""The files of a cleaned unit.

    documents.parquet     text, path, position, id of each kept document; a row group a batch
    content-hashes.npy    uint64 (documents, 2), sorted; content-rows.npy: uint32, the row of each
    band-keys.npy         uint64 (documents × bands,), sorted; band-rows.npy: uint32, the row of each
    signatures.npy        uint32 (documents, permutations)
    characters.npy        uint32 (documents,); ids.npy: uint64 (documents,)
    bad-records.jsonl     {"location", "cause", "raw"} of what couldn't be read
    removed.parquet       text, path, position, reason of removed documents (data.keepRemoved)
    statistics.json       length histogram, samples

Keys are sorted so that a range of them is a contiguous slice, found by binary search in the mapped file.
"""

from __future__ import annotations

DOCUMENTS = "documents.parquet"
REMOVED = "removed.parquet"
CONTENT_HASHES, CONTENT_ROWS = "content-hashes.npy", "content-rows.npy"
BAND_KEYS, BAND_ROWS = "band-keys.npy", "band-rows.npy"
SIGNATURES = "signatures.npy"
CHARACTERS, IDS = "characters.npy", "ids.npy"
BAD_RECORDS = "bad-records.jsonl"
STATISTICS = "statistics.json"

_SAMPLE_CHARACTERS = 200


def excerpt(location: str, text: str) -> str:
    """Return the beginning of a document for a report, on one line."""
    beginning = " ".join(text[: 2 * _SAMPLE_CHARACTERS].split())
    cut = beginning[:_SAMPLE_CHARACTERS] + ("…" if len(beginning) > _SAMPLE_CHARACTERS else "")
    return f"{location}: {cut}"
