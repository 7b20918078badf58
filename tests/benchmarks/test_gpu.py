"""The benchmark of GPUs: its cases are jobs, and it runs the trainer's own engine."""

import argparse
import json
from pathlib import Path

import pytest

from benchmarks.gpu.__main__ import run
from benchmarks.gpu.cases import cases
from pretrain_api.estimates.estimate import estimate
from pretrain_api.estimates.plan import plan_of_job
from pretrain_api.validation import validate_document


def test_every_case_is_a_valid_job_with_a_name_of_its_own() -> None:
    every = list(cases())
    assert len({case.name for case in every}) == len(every)
    for case in every:
        document = case.job().model_dump(mode="json", by_alias=True, exclude_defaults=True)
        assert validate_document(document)[1] == []


def test_all_cases_fit_a_gpu_of_80_gb() -> None:
    for case in cases():
        assert estimate(plan_of_job(case.job())).chosen.memory.total < 70 * 2**30, case.name


@pytest.mark.slow
def test_steps_are_made_and_a_line_written_of_each_case(tmp_path: Path) -> None:
    output = tmp_path / "gpu.jsonl"
    run(argparse.Namespace(tiny=True, only="fp32", seconds=60, output=output))
    machine, case = (json.loads(line) for line in output.read_text().splitlines())
    assert machine["torch"]
    assert case["lastLoss"] < case["firstLoss"]
    assert case["tokensPerSecond"] > 0
    assert case["estimatedBytes"] > case["parameters"] * 16
