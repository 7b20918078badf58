"""`pretrain estimate` and `pretrain presets`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from pretrain_cli.main import build_app

MANIFESTS = Path(__file__).parents[2] / "manifests"


def invoke(*arguments: object) -> Result:
    words = [str(argument) for argument in arguments]
    return CliRunner().invoke(build_app(words[0]), words, terminal_width=200)


def estimate_json(*arguments: object) -> dict[str, Any]:
    result = invoke("estimate", *arguments, "-o", "json")
    assert result.exit_code == 0, result.output
    document: dict[str, Any] = json.loads(result.stdout)
    return document


def test_llama_7b() -> None:
    document = estimate_json("--preset", "llama-7b", "--gpus", 64, "--gpu", "h200")
    assert document["parameters"] == 6_738_415_616
    assert document["trainingFlops"] == 6 * 1e12 * 6_738_415_616
    assert document["trainingSeconds"] == pytest.approx(document["trainingFlops"] / (64 * 989e12 * 0.4))
    for key in ("memoryBytesPerGpu", "chinchilla", "checkpointIntervalSeconds", "goodput"):
        assert document[key]


def test_llama_65b_at_a_given_rate() -> None:
    document = estimate_json(
        "--preset", "llama-65b", "--gpus", 2048, "--flops-per-gpu", "2e14", "--recompute", "full", "--tokens", "1.4T"
    )
    assert document["trainingSeconds"] == pytest.approx(1.78e6, rel=0.005)


def test_every_option_reaches_the_estimate() -> None:
    document = estimate_json(
        *("--preset", "llama-7b", "--gpus", 32, "--gpu", "A100", "--utilization", 0.5, "--memory-gb", 40),
        *("--tokens", "2T", "--sequence-length", 4096, "--batch-tokens", "8Mi", "--micro-batch-size", 2),
        *(
            "--zero",
            1,
            "--tensor",
            4,
            "--pipeline",
            2,
            "--expert",
            1,
            "--sequence-parallel",
            "--recompute",
            "selective",
        ),
        *("--precision", "bf16", "--gradients", "fp32", "--kernels", "unfused", "--price-per-gpu-hour", 1.5),
        *("--mean-time-between-failures-hours", 10, "--checkpoint-seconds", 20, "--restart-seconds", 60),
    )
    assert document["layout"] == {
        "data": 4,
        "tensor": 4,
        "pipeline": 2,
        "expert": 1,
        "zero": 1,
        "microBatchSize": 2,
        "recompute": "selective",
        "sequenceParallel": True,
    }
    assert document["flopsPerSecondPerGpu"] == 312e12
    assert document["utilization"] == 0.5
    assert document["gpuMemoryBytes"] == 40e9
    assert (document["tokens"], document["sequenceLength"], document["batchTokens"]) == (2 * 10**12, 4096, 8 * 2**20)
    assert document["bytesPerParameterBeforeSharding"] == 18
    assert document["meanTimeBetweenFailuresSeconds"] == 36_000
    assert document["checkpointIntervalSeconds"] == 1200
    assert document["restartSeconds"] == 60
    assert document["cost"] == pytest.approx(32 * document["wallSeconds"] / 3600 * 1.5)


def test_kernels_change_the_memory() -> None:
    fused, unfused = (
        estimate_json("--preset", "llama-7b", "--zero", 3, "--kernels", kernels)["memoryBytesPerGpuByPart"]
        for kernels in ("fused", "unfused")
    )
    assert unfused["activations"] > fused["activations"]


@pytest.mark.parametrize("manifest", sorted(path.name for path in MANIFESTS.glob("*.yaml")))
def test_manifests(manifest: str) -> None:
    document = estimate_json(MANIFESTS / manifest)
    assert document["parameters"] > 0
    assert document["fits"]


def test_text_has_figures_and_formulas() -> None:
    result = invoke(
        "estimate", "--preset", "mixtral-8x7b", "--gpus", 64, "--recompute", "none", "--price-per-gpu-hour", 2
    )
    assert result.exit_code == 0, result.output
    for text in ("46,702,792,704", "12,879,925,248", "6CP", "12·L·H·T", "Young", "Daly", "Korthikanti", "cost", "MFU"):
        assert text in result.stdout
    assert "\x1b[" not in result.stdout


def test_text_says_how_many_gpus_would_do() -> None:
    result = invoke("estimate", "--preset", "gpt3-175b", "--gpus", 8)
    assert result.exit_code == 0, result.output
    assert "No layout of 8 GPUs fits; 64 GPUs are enough." in result.stdout
    assert "does not fit" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "give either the file of a PretrainJob or --preset NAME"),
        (("a.yaml", "--preset", "llama-7b"), "give either the file of a PretrainJob or --preset NAME"),
        (("--preset", "lama-7b"), "'lama-7b' is unknown; did you mean 'llama-7b'?"),
        (("--preset", "x"), "'x' is unknown; `pretrain presets` lists them"),
        (("--preset", "llama-7b", "--gpu", "h300"), "'h300' is unknown; did you mean 'h200'?"),
        (("--preset", "llama-7b", "--gpus", "9", "--tensor", "2"), "take 10"),
        (("missing.yaml",), "missing.yaml: file: cannot be read"),
    ],
)
def test_refusals_are_one_line_on_stderr(arguments: tuple[str, ...], message: str) -> None:
    result = invoke("estimate", *arguments)
    assert result.exit_code == 1
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


@pytest.mark.parametrize(
    "arguments",
    [
        ("--tokens", "1.4X"),
        ("--tokens", "0"),
        ("--utilization", "40"),
        ("--utilization", "nan"),
        ("--flops-per-gpu", "inf"),
        ("--price-per-gpu-hour", "-1"),
        ("--zero", "4"),
        ("--gpus", "0"),
    ],
)
def test_values_out_of_range(arguments: tuple[str, ...]) -> None:
    result = invoke("estimate", "--preset", "llama-7b", *arguments)
    assert result.exit_code == 2
    assert arguments[0] in result.stderr
    assert "Traceback" not in result.stderr


def test_invalid_job_says_what_validate_says(tmp_path: Path) -> None:
    path = tmp_path / "job.yaml"
    path.write_text((MANIFESTS / "quickstart.yaml").read_text().replace("hiddenSize: 192", "hiddenSize: -1"))
    result = invoke("estimate", path)
    assert result.exit_code == 1
    validated = invoke("validate", path)
    assert result.stderr == validated.stdout


def test_several_jobs_in_a_file(tmp_path: Path) -> None:
    text = (MANIFESTS / "quickstart.yaml").read_text()
    path = tmp_path / "jobs.yaml"
    path.write_text(f"{text}\n---\n{text.replace('name: quickstart', 'name: second')}")
    result = invoke("estimate", path, "-o", "json")
    assert [document["name"] for document in json.loads(result.stdout)] == ["quickstart", "second"]


def test_presets() -> None:
    documents = {document["name"]: document for document in json.loads(invoke("presets", "-o", "json").stdout)}
    assert documents["llama-7b"]["trainable"]
    assert documents["llama-7b"]["parameters"] == 6_738_415_616
    assert documents["gpt3-175b"]["documentedSettings"]["peakLearningRate"] == 6e-5
    text = invoke("presets").stdout
    for name in documents:
        assert name in text


@pytest.mark.slow
def test_without_a_terminal_and_without_torch() -> None:
    program = (
        "import sys; sys.argv = ['pretrain', 'estimate', '--preset', 'llama-7b']\n"
        "from pretrain_cli.main import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "assert 'torch' not in sys.modules and 'numpy' not in sys.modules\n"
    )
    environment = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "TERM")}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert "6,738,415,616" in done.stdout
    assert "2VH + H + L(2H(A+K)D + 3HI + 2H)" in done.stdout


def test_documented_settings_of_a_preset_can_be_copied_into_a_job() -> None:
    text = invoke("presets", "llama-65b").stdout
    assert text.startswith("# llama-65b: Touvron et al. 2023")
    spec = yaml.safe_load(text)["spec"]
    assert spec["model"] == {"preset": "llama-65b"}
    assert spec["training"]["learningRate"]["peak"] == 1.5e-4
    assert json.loads(invoke("presets", "llama-65b", "-o", "json").stdout)["spec"] == spec
    unknown = invoke("presets", "llama65b")
    assert unknown.exit_code == 1
    assert "'llama65b' has no documented settings; did you mean 'llama-65b'?" in unknown.output
