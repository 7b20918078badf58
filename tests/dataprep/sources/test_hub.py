"""Sources on the Hugging Face Hub: its own driver against a server on loopback that speaks its protocol."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.dataprep.conftest import Preparation, corpus
from tests.dataprep.sources.hub_server import HubServer


def lines(texts: list[str]) -> bytes:
    return b"".join(json.dumps({"text": text}).encode() + b"\n" for text in texts)


@pytest.fixture
def hub() -> Iterator[HubServer]:
    files = {
        "README.md": b"# A corpus\n",
        "data/en/a.jsonl": lines(corpus(1, 40)),
        "data/en/b.jsonl.gz": gzip.compress(lines(corpus(2, 40))),
        "data/de/c.jsonl": lines(corpus(3, 40)),
    }
    server = HubServer(files)
    yield server
    server.stop()


def of_hub(preparation: Callable[..., Preparation], hub: HubServer, uri: str, **data: Any) -> Preparation:
    prepared = preparation(sources=[{"name": "web", "uri": uri}], shards=1, **data)
    prepared.environment = {"HF_ENDPOINT": hub.url, "HF_TOKEN": "secret", "HF_HUB_DISABLE_TELEMETRY": "1"}
    return prepared


def inputs(prepared: Preparation) -> list[str]:
    manifest = json.loads((prepared.layout.clean / "web-00000/MANIFEST.json").read_bytes())
    return [entry["path"] for entry in manifest["inputs"]]


@pytest.mark.slow
def test_a_job_reads_a_data_set_of_the_hub(
    preparation: Callable[..., Preparation], hub: HubServer, tmp_path: Path
) -> None:
    prepared = of_hub(preparation, hub, "hf://datasets/team/corpus/data/**/*.jsonl*")
    hub.failures = 2
    outcome = prepared.run("clean")
    assert outcome.code == 0, outcome.log
    assert hub.failures == 0, "what failed was tried again"
    assert [path.rpartition("/data/")[2] for path in inputs(prepared)] == ["de/c.jsonl", "en/a.jsonl", "en/b.jsonl.gz"]
    assert outcome.message["counts"]["documentsIn"] == 3 * 46

    assert "nothing it depends on has changed" in prepared.run("clean").log
    hub.files["data/en/a.jsonl"] += lines(["One more document of the same folder, with words enough to stay. " * 5])
    again = prepared.run("clean")
    assert "input" in again.log
    assert "changed" in again.log
    assert again.message["counts"]["documentsIn"] == 3 * 46 + 1


@pytest.mark.slow
def test_what_the_hub_refuses_is_said_in_a_line(preparation: Callable[..., Preparation], hub: HubServer) -> None:
    missing = of_hub(preparation, hub, "hf://datasets/team/corpus/data/fr")
    outcome = missing.run("clean")
    assert (outcome.code, outcome.message["reason"]) == (65, "MissingData")
    assert "hf://datasets/team/corpus/data/fr: no such file" in outcome.message["message"]
    missing.environment["HF_TOKEN"] = "another"
    refused = missing.run("clean")
    assert refused.code == 65
    assert "check the uri and the credentials" in refused.message["message"]
