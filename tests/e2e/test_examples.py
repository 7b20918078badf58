"""The examples of manifests/: all are valid; some train at reduced size by the real command, and give models that
transformers reads."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

from pretrain_api.validation import validate_file

MANIFESTS = sorted((Path(__file__).parents[2] / "manifests").glob("*.yaml"))
DEADLINE_SECONDS = 600
SMALLER = {
    "spec.data.sources": '[{name: docs, uri: "sample://python?kinds=topics&megabytes=0.5"}]',
    "spec.data.tokenizer.train.vocabSize": "700",
    "spec.data.split.validation": "0.1",
    "spec.model.hiddenSize": "64",
    "spec.model.intermediateSize": "128",
    "spec.model.numHiddenLayers": "2",
    "spec.training.tokens": "48Ki",
    "spec.training.sequenceLength": "64",
    "spec.training.batch.stages": "[{tokens: 1Ki, from: 0}]",
    "spec.training.learningRate": "{peak: 4e-3, warmupTokens: 8Ki}",
    "spec.training.evaluation": "{maxSequences: 16, samples: {newTokens: 8}}",
}
RUNS = {
    "bert-masked-lm": "AutoModelForPreTraining",
    "gpt2-causal-lm": "AutoModelForCausalLM",
    "llama-fill-in-the-middle": "AutoModelForCausalLM",
    "llama-mixture": "AutoModelForCausalLM",
    "llama-prefix-lm": "AutoModelForCausalLM",
    "mixtral-causal-lm": "AutoModelForCausalLM",
    "t5-denoising": "AutoModelForSeq2SeqLM",
    "t5-span-corruption": "AutoModelForSeq2SeqLM",
    "t5-ul2": "AutoModelForSeq2SeqLM",
}


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.stem)
def test_examples_are_valid(path: Path) -> None:
    result = validate_file(str(path))
    assert result.problems == []
    assert [job.metadata.name for job in result.jobs] == [path.stem]


def test_every_family_and_objective_has_an_example() -> None:
    jobs = [job.spec for path in MANIFESTS for job in validate_file(str(path)).jobs]
    families = {spec.model.family for spec in jobs if spec.model}
    assert families >= {"llama", "gpt2", "bert", "t5", "mixtral"}
    types = {part.type for spec in jobs for part in spec.objective.parts}
    assert types >= {"causal-lm", "prefix-lm", "fill-in-the-middle", "span-corruption", "denoising"}
    assert types >= {"mixture-of-denoisers", "masked-lm"}


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNS)
def test_examples_train(name: str, tmp_path: Path) -> None:
    import transformers

    (path,) = [path for path in MANIFESTS if path.stem == name]
    arguments = [f"--set={field}={value}" for field, value in SMALLER.items()]
    command = [sys.executable, "-m", "pretrain_cli.main", "run", str(path), f"--workdir={tmp_path}", *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=DEADLINE_SECONDS)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert f"transformers: {RUNS[name]}.from_pretrained" in ended.stdout
    metrics = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    losses = [row["loss"] for row in metrics]
    assert len(losses) == 48
    assert sum(losses[-8:]) / 8 < sum(losses[:8]) / 8 - 0.2
    status = json.loads((tmp_path / "status.json").read_text())
    assert 0 < status["training"]["validationLoss"] < math.log(700)
    assert len(json.loads((tmp_path / "samples.json").read_text())) == 3
    loaded, info = getattr(transformers, RUNS[name]).from_pretrained(tmp_path / "model", output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    assert loaded.num_parameters() == sum(parameter.numel() for parameter in loaded.parameters())
