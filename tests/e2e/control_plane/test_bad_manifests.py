"""What `pretrain validate` refuses, a cluster refuses, too: the API server where schema and CEL can say it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from pretrain_cluster import ClusterError, ControlPlaneOnly
from pretrain_cluster.operator_process import OperatorProcess
from pretrain_cluster.processes import wait_until

from pretrain_api.validation import validate_text

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

BAD = Path(__file__).resolve().parents[2] / "api" / "manifests" / "bad"
ONLY_IN_FILES = {
    "field-twice.yaml",  # kubectl sends the second one only
    "metadata-our-label.yaml",  # the operator writes annotations of that prefix itself
}
LEAST_ACCEPTED = 20
MOST_ACCEPTED = 0.3
"""Share of the bad manifests that take more than schema and CEL to refuse."""
REFUSED_BY_THE_SERVER = (
    "clean-",
    "decontaminate-",
    "dedup-",
    "evaluation-questions-address",
    "objective-",
    "tokenizer-",
)
NEEDS_ARITHMETIC = {"objective-vocabulary-too-small.yaml"}


def test_what_the_api_server_accepts_the_operator_refuses_in_the_same_words(
    plane: ControlPlaneOnly, operator: OperatorProcess, namespace: str, tmp_path: Path
) -> None:
    files = [file for file in sorted(BAD.glob("*.yaml")) if file.name not in ONLY_IN_FILES]
    assert len(files) > 100
    by_name = {f"bad-{number}": file for number, file in enumerate(files)}
    accepted = {
        job["metadata"]["name"]: by_name[job["metadata"]["name"]]
        for job in _create(plane, namespace, tmp_path, by_name)
    }
    by_the_operator = {file.name for file in accepted.values() if file.name.startswith(REFUSED_BY_THE_SERVER)}
    assert by_the_operator == NEEDS_ARITHMETIC
    assert LEAST_ACCEPTED < len(accepted) < MOST_ACCEPTED * len(files), sorted(each.name for each in accepted.values())

    def unsaid() -> list[str]:
        shown = {job["metadata"]["name"]: _valid(job) for job in _jobs(plane, namespace)}
        return [
            f"{file.name}: {shown[name] or 'nothing said'}"
            for name, file in accepted.items()
            if shown[name].get("status") != "False" or not _same_words(file, shown[name]["message"])
        ]

    wait_until(lambda: not unsaid(), 120, lambda: f"not refused: {unsaid()}", 1.0)
    assert not json.loads(plane.kubectl("get", "jobs", "-n", namespace, "-o", "json"))["items"]


def _create(plane: ControlPlaneOnly, namespace: str, folder: Path, files: dict[str, Path]) -> list[dict[str, Any]]:
    """Have kubectl create what the files hold, each under a name of its own; return what the API server takes."""
    for name, file in files.items():
        text = re.sub(r"\bname: small\b", f"name: {name}", file.read_text(), count=1)
        (folder / f"{name}.yaml").write_text(text)
    with pytest.raises(ClusterError):  # kubectl goes on after one that is refused, and says so at the end
        plane.kubectl("create", "-n", namespace, "-f", folder)
    return _jobs(plane, namespace)


def _jobs(plane: ControlPlaneOnly, namespace: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = json.loads(plane.kubectl("get", "pretrainjobs", "-n", namespace, "-o", "json"))[
        "items"
    ]
    return items


def _valid(job: dict[str, Any]) -> dict[str, Any]:
    conditions = job.get("status", {}).get("conditions", [])
    return next((each for each in conditions if each["type"] == "Valid"), {})


def _same_words(file: Path, message: str) -> bool:
    return str(validate_text(file.read_text()).problems[0]).split(";")[0] in message
