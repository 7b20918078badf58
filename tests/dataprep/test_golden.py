"""Golden bytes: what the code made once. If they change, the stage's CODE_VERSION has to be raised with them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pretrain_dataprep.cleaning import unit
from pretrain_dataprep.files import hash_file
from pretrain_dataprep.stages import dedup_clusters, dedup_pairs

from .conftest import Preparation, corpus, write_jsonl

CLEAN = {
    "band-keys.npy": "cc05f0165699fb6bd3ed606c4c6ca26a",
    "band-rows.npy": "5bee0cd7de8806bdb137a5c85f9efb63",
    "characters.npy": "b20b26945ad9cb4ad69c92c030749b27",
    "content-hashes.npy": "78fde541839f272e49330670f869e4ae",
    "ids.npy": "c932ddbac5ec3586d8d0b806b3d73d8b",
    "signatures.npy": "cb8337c720bb8dc50eb022a398911099",
}


def test_golden_bytes(preparation: Callable[..., Preparation], tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "a.jsonl", corpus(1, 40))
    prepared = preparation(
        sources=[{"name": "web", "uri": str(path)}], shards=1, clean={"pii": {"redact": ["email", "phone", "ip"]}}
    )
    for stage in ("clean", "dedup-pairs", "dedup-clusters"):
        prepared.call(stage)
    folder = prepared.layout.clean / "web-00000"
    assert unit.CODE_VERSION == "clean/5"
    assert {name: hash_file(folder / name) for name in CLEAN} == CLEAN
    assert dedup_pairs.CODE_VERSION == "dedup-pairs/3"
    assert hash_file(prepared.layout.dedup / "pairs-00000" / "near-edges.npy") == NEAR_EDGES
    assert dedup_clusters.CODE_VERSION == "dedup-clusters/3"
    assert hash_file(prepared.layout.dedup / "clusters" / "web-00000.survivors.npy") == SURVIVORS


NEAR_EDGES = "ef77d0cde1e2a81ee2b2803a635dfac9"
SURVIVORS = "28ae0236c486809291e1c4ebc1f50bc7"
