"""Files of questions are checked before training begins, and brought into the storage."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pretrain_dataprep.context import StageContext, load_context
from pretrain_dataprep.errors import InputError
from pretrain_dataprep.evaluation_files import copy_questions

from .conftest import Preparation

QUESTION = {"question": "2 + 2 =", "choices": ["4", "5"], "answer": 0}


def context_of(root: Path, *uris: Path) -> StageContext:
    asked = [{"name": uri.stem, "uri": str(uri)} for uri in uris]
    training: dict[str, Any] = {
        "tokens": 8192,
        "batch": {"stages": [{"tokens": 2048, "from": 0}]},
        "learningRate": {"peak": 0.1},
        "evaluation": {"multipleChoice": asked},
    }
    preparation = Preparation(root, {"sources": [{"name": "web", "uri": "x.jsonl"}]}, training)
    return load_context("blend", preparation.variables("blend"))


def write(path: Path, *lines: Any) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_files_are_copied_under_their_names(tmp_path: Path) -> None:
    first, second = write(tmp_path / "science.jsonl", QUESTION), write(tmp_path / "history.jsonl", QUESTION, QUESTION)
    context = context_of(tmp_path / "job", first, second)
    copy_questions(context)
    copies = sorted(context.layout.evaluation_files.iterdir())
    assert [path.name for path in copies] == ["history.jsonl", "science.jsonl"]
    assert copies[1].read_bytes() == first.read_bytes()


def test_a_file_that_is_asked_for_no_more_goes(tmp_path: Path) -> None:
    first, second = write(tmp_path / "science.jsonl", QUESTION), write(tmp_path / "history.jsonl", QUESTION)
    copy_questions(context_of(tmp_path / "job", first, second))
    context = context_of(tmp_path / "job", second)
    copy_questions(context)
    assert [path.name for path in context.layout.evaluation_files.iterdir()] == ["history.jsonl"]
    copy_questions(context_of(tmp_path / "job"))
    assert not context.layout.evaluation_files.exists()


def test_a_line_that_is_no_question_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "science.jsonl", QUESTION, {**QUESTION, "answer": 2})
    with pytest.raises(InputError, match=r"science\.jsonl:2: answer is 2, not the index of one of the 2 choices"):
        copy_questions(context_of(tmp_path / "job", path))
    (tmp_path / "latin.jsonl").write_bytes('{"question": "é"}\n'.encode("latin-1"))
    with pytest.raises(InputError, match="UTF-8"):
        copy_questions(context_of(tmp_path / "job", tmp_path / "latin.jsonl"))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.jsonl"):
        copy_questions(context_of(tmp_path / "job", tmp_path / "gone.jsonl"))
