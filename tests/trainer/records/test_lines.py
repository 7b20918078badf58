from __future__ import annotations

import json
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import DataObject

from pretrain_trainer.files import json_lines
from pretrain_trainer.records.lines import StepLines, move_discarded


def write(path: Path, steps: range) -> StepLines:
    lines = StepLines(path)
    for step in steps:
        lines.append({"step": step, "loss": step / 7})
    return lines


def steps(path: Path) -> list[int]:
    return [line["step"] for line in json_lines(path)]


def test_lines_after_a_step_are_cut_and_others_stay_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    lines = write(path, range(1, 11))
    before = path.read_bytes()
    lines.cut(10)
    assert path.read_bytes() == before
    lines.cut(4)
    assert steps(path) == [1, 2, 3, 4]
    assert before.startswith(path.read_bytes())
    lines.append({"step": 5, "loss": 0.1})
    assert steps(path) == [1, 2, 3, 4, 5]


@given(data=st.data())
def test_a_torn_line_is_removed(data: DataObject, tmp_path_factory: object) -> None:
    path = tmp_path_factory.mktemp("torn") / "metrics.jsonl"  # type: ignore[attr-defined]
    lines = write(path, range(1, 6))
    lines.close()
    content = path.read_bytes()
    kept = data.draw(st.integers(0, len(content)))
    path.write_bytes(content[:kept])
    lines.cut(100)
    assert path.read_bytes() == content[: content.rfind(b"\n", 0, kept) + 1]


def test_a_file_that_is_not_there_has_no_lines(tmp_path: Path) -> None:
    lines = StepLines(tmp_path / "none.jsonl")
    lines.cut(3)
    assert lines.after(0) == []


def test_discarded_lines_carry_the_number_of_their_rollback(tmp_path: Path) -> None:
    metrics = write(tmp_path / "metrics.jsonl", range(1, 11))
    discarded = tmp_path / "discarded.jsonl"
    move_discarded(metrics, discarded, step=8, rollback=1)
    move_discarded(metrics, discarded, step=6, rollback=2)
    move_discarded(metrics, discarded, step=7, rollback=2)  # the process died before the rollback was decided
    found = [(line["step"], line["rollback"]) for line in map(json.loads, discarded.read_text().splitlines())]
    assert found == [(9, 1), (10, 1), (8, 2), (9, 2), (10, 2)]
