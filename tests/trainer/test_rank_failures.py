"""What a rank says when it can't train: one line, a reason, an exit code, no traceback."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from rank_harness import job, run_ranks, synthetic_blend, synthetic_documents, write_blend

from pretrain_api.wire import ExitCode

pytestmark = pytest.mark.slow


def fail(storage: Path, config: Path, code: ExitCode) -> dict[str, str]:
    ranks = run_ranks(storage, config, count=1, expect=code)
    assert "Traceback" not in ranks.log()
    result: dict[str, str] = ranks.result()
    assert result["outcome"] == "Failed"
    assert "\n" not in result["message"]
    return result


def test_a_missing_blend(tmp_path: Path) -> None:
    result = fail(tmp_path, job(tmp_path), ExitCode.INVALID_DATA)
    assert str(tmp_path / "data/blend.json") in result["message"]


def test_a_corpus_too_small_for_a_sequence(tmp_path: Path) -> None:
    write_blend(tmp_path, {"tiny": (synthetic_documents(1, 1, length=20), [])})
    result = fail(tmp_path, job(tmp_path), ExitCode.INVALID_DATA)
    assert result["reason"] == "CorpusTooSmall"
    assert "has 20 training tokens, one sequence takes 33" in result["message"]


def test_a_batch_that_the_ranks_do_not_divide(tmp_path: Path) -> None:
    synthetic_blend(tmp_path)
    config = job(tmp_path, training__batch={"stages": [{"tokens": 3 * 32, "from": 0}]})
    result = fail(tmp_path, config, ExitCode.INVALID_CONFIGURATION)
    assert "spec.training.batch.stages[0].tokens: 96 is not a multiple of 128" in result["message"]


def test_a_configuration_that_is_none(tmp_path: Path) -> None:
    path = tmp_path / "job.json"
    path.write_text(json.dumps({"kind": "PretrainJob"}))
    assert str(path) in fail(tmp_path, path, ExitCode.INVALID_CONFIGURATION)["message"]


def test_damaged_tokens_are_named(tmp_path: Path) -> None:
    synthetic_blend(tmp_path)
    tokens = tmp_path / "data/tokenized/one-00000.train.bin"
    tokens.write_bytes(tokens.read_bytes()[:-100])
    assert str(tokens) in fail(tmp_path, job(tmp_path), ExitCode.INVALID_DATA)["message"]


def test_no_compiler_is_needed(tmp_path: Path) -> None:
    synthetic_blend(tmp_path)
    extensions = tmp_path / "extensions"
    environment = {"PATH": "/nonexistent", "TORCH_EXTENSIONS_DIR": str(extensions)}
    run_ranks(tmp_path, job(tmp_path), environment=environment)
    shutil.rmtree(extensions, ignore_errors=True)
    assert (tmp_path / "completed.json").exists()
