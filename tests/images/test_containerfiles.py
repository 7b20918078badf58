"""What every image must be: of a base that can be chosen, pinned, without a compiler, run by nobody in particular."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
IMAGES = ("operator", "dataprep", "trainer")


def _stages(name: str) -> list[str]:
    """The stages of an image's Containerfile, each from its FROM on; what is before the first comes first."""
    text = (ROOT / name / "Containerfile").read_text().replace("\\\n", " ")
    return re.split(r"^(?=FROM )", text, flags=re.MULTILINE)


@pytest.mark.parametrize("name", IMAGES)
def test_every_stage_is_of_the_base_that_was_asked_for(name: str) -> None:
    before, *stages = _stages(name)
    assert re.search(r"^ARG BASE=docker\.io/library/python:3\.\d+-slim", before, re.MULTILINE)
    assert len(stages) > 1
    assert all(stage.startswith("FROM ${BASE}") for stage in stages)


@pytest.mark.parametrize("name", IMAGES)
def test_packages_are_those_that_were_tested_together(name: str) -> None:
    installs = [line for line in "".join(_stages(name)).splitlines() if re.search(r"\bpip\S* .*\binstall\b", line)]
    assert installs
    assert all("-c constraints.txt" in line or "--no-deps" in line for line in installs)


@pytest.mark.parametrize("name", IMAGES)
def test_the_last_stage_installs_nothing_and_runs_as_nobody(name: str) -> None:
    last = _stages(name)[-1]
    assert "\nRUN" not in last
    assert re.search(r"^USER 65532:65532$", last, re.MULTILINE)
    assert re.search(r"^ENV PATH=/opt/pretrain/bin:", last, re.MULTILINE)


@pytest.mark.parametrize("name", ["dataprep", "trainer"])
def test_pods_of_jobs_get_their_commands_from_the_operator(name: str) -> None:
    assert "ENTRYPOINT" not in _stages(name)[-1]


def test_the_operator_image_is_the_operator() -> None:
    assert 'ENTRYPOINT ["python", "-m", "pretrain_operator"]' in _stages("operator")[-1]


@pytest.mark.parametrize("name", IMAGES)
def test_what_is_copied_is_there_and_not_left_out(name: str) -> None:
    ignored = (ROOT / ".containerignore").read_text().split()
    assert (ROOT / ".dockerignore").read_text().split() == ignored
    copied = [
        word
        for line in "".join(_stages(name)).splitlines()
        if line.startswith("COPY ") and "--from" not in line
        for word in line.split()[1:-1]
    ]
    assert copied
    for path in copied:
        assert (ROOT / path).exists(), path
        assert path.split("/")[0] not in ignored
