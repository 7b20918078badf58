"""Whether shards can share a source: a compressed file, text, HTML or a web archive is read whole, by one worker."""

from __future__ import annotations

from collections.abc import Sequence

LEAST_BYTES = 64 << 20
"""Of the largest shard, below which nobody waits for it: the largest range of what can be cut."""
MOST_TIMES_THE_MEAN = 2.0


def unevenness(sizes: Sequence[int], largest_file: str, largest_bytes: int) -> str | None:
    """Return what to do about shards that differ much; None: they don't, or are small.

    Args:
        sizes: Bytes of each shard, as stored.
        largest_file: The largest piece that one worker reads.
        largest_bytes: Its size.
    """
    largest, mean = max(sizes), sum(sizes) / len(sizes)
    if largest < LEAST_BYTES or largest <= MOST_TIMES_THE_MEAN * mean:
        return None
    idle = sum(size == 0 for size in sizes)
    nothing = f", and {idle} of {len(sizes)} shards have nothing to read" if idle else ""
    return (
        f"one worker reads {largest / mean:.1f} times the mean of all{nothing}: {largest_file} alone has "
        f"{largest_bytes / 1e6:,.0f} MB and can't be cut; give its text in more files than shards, or as uncompressed "
        "JSON lines or Parquet"
    )
