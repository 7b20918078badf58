"""The control plane under the benchmark: the real one, kwok's nodes, and a claim for all jobs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from pretrain_cluster.control_plane_only import STAGES, ControlPlaneOnly
from pretrain_cluster.pretrainjobs import define_pretrainjobs
from pretrain_cluster.progress import Progress

ROOT = Path(__file__).resolve().parents[2]
NODES = 10
CLAIM = "shared"
Document = dict[str, Any]


@contextmanager
def control_plane(folder: Path, seconds_of_a_stage: float) -> Iterator[ControlPlaneOnly]:
    """Start one whose preparation pods complete after a time; end it afterwards."""
    folder.mkdir(parents=True, exist_ok=True)
    stages = folder / "stages.yaml"
    stages.write_text(_slowed(STAGES.read_text(), seconds_of_a_stage))
    with ControlPlaneOnly(folder, scheduler=True, progress=Progress()) as plane:
        define_pretrainjobs(plane)
        for each in _volume():
            plane.kubectl("create", "-f", "-", input=json.dumps(each))
        plane.add_nodes(NODES, stages)
        yield plane


def job(name: str, nodes: int = 1) -> Document:
    """Return the quickstart's job with its storage in the claim that there is."""
    document: Document = yaml.safe_load((ROOT / "manifests" / "quickstart.yaml").read_text())
    document["metadata"] = {"name": name, "namespace": "default"}
    document["spec"]["storage"] = {"uri": f"pvc://{CLAIM}/{name}"}
    document["spec"]["data"]["shards"] = 1
    document["spec"]["trainer"] = {"numNodes": nodes, "numProcPerNode": 1}
    return document


def short_job(name: str) -> Document:
    """Return one with as few preparation stages as there can be: it trains soon."""
    document = job(name)
    data = document["spec"]["data"]
    data["dedup"] = {"exact": "none", "near": None}
    data["tokenizer"] = {"uri": "tokenizer.model"}
    return document


def _slowed(stages: str, seconds: float) -> str:
    documents = list(yaml.safe_load_all(stages))
    for each in documents:
        if each["metadata"]["name"] == "pod-complete" and seconds:
            each["spec"]["delay"] = {"durationMilliseconds": int(seconds * 1000)}
    return yaml.safe_dump_all(documents)


def _volume() -> tuple[Document, Document]:
    size, modes = "1Ti", ["ReadWriteMany"]
    volume = {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": CLAIM},
        "spec": {
            "capacity": {"storage": size},
            "accessModes": modes,
            "storageClassName": "",
            "hostPath": {"path": "/nowhere"},
            "claimRef": {"namespace": "default", "name": CLAIM},
        },
    }
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": CLAIM, "namespace": "default"},
        "spec": {
            "accessModes": modes,
            "storageClassName": "",
            "volumeName": CLAIM,
            "resources": {"requests": {"storage": size}},
        },
    }
    return volume, claim
