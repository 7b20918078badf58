"""The images as they are built: small, and nobody's."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from typing import Any

import pytest
from pretrain_cluster.host import why_not
from pretrain_cluster.processes import run
from pretrain_cluster.project_images import build_project_images

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

MOST_BYTES_OF_THE_OPERATOR = 120_000_000
Inspect = Callable[[str], dict[str, Any]]


@pytest.fixture(scope="module")
def inspect() -> Inspect:
    """Return what buildah says of one of the project's images; they are built where they are stale."""
    if reason := why_not():
        pytest.skip(reason)
    names = {archive.name.split("-")[0]: archive for archive in build_project_images()}
    if shutil.which("buildah") is None:
        pytest.skip("the images were built by another program than buildah")

    def inspected(name: str) -> dict[str, Any]:
        version = names[name].name.split("-")[1]
        found: dict[str, Any] = json.loads(
            run(["buildah", "inspect", "--type", "image", f"docker.io/pretrain/{name}:{version}"])
        )
        return found

    return inspected


def test_the_operator_adds_little_to_its_base(inspect: Inspect) -> None:
    _, *added = json.loads(inspect("operator")["Manifest"])["layers"]
    assert added
    assert sum(layer["size"] for layer in added) < MOST_BYTES_OF_THE_OPERATOR


@pytest.mark.parametrize("name", ["operator", "dataprep", "trainer"])
def test_processes_are_nobodys(inspect: Inspect, name: str) -> None:
    assert inspect(name)["OCIv1"]["config"]["User"] == "65532:65532"


def test_preparation_pods_compile_nothing(inspect: Inspect) -> None:
    """They run as somebody who can't write into the image."""
    image = inspect("dataprep")["FromImage"]
    script = "NUMBA_DEBUG_CACHE=1 python -m pretrain_dataprep.compile_kernels"
    container = run(["buildah", "from", image]).strip()
    try:
        command = ["buildah", "run", "--isolation", "chroot", "--user", "65532", container]
        said = run([*command, "--", "sh", "-c", f"HOME=/tmp {script}"])
    finally:
        run(["buildah", "rm", container])
    assert "data loaded from" in said
    assert "data saved to" not in said
