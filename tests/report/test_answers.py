"""Questions that the model answered, as a report shows them."""

import json
from typing import Any

from pretrain_report.facts.answers import answer_rows
from pretrain_report.page import render
from pretrain_report.storage import read_records


def evaluation(step: int, accuracy: float) -> dict[str, Any]:
    result = {
        "items": 400,
        "accuracy": accuracy,
        "normalizedAccuracy": 0.5,
        "accuracyStandardError": 0.02,
        "chance": 0.25,
    }
    return {
        "step": step,
        "tokens": step,
        "validationLoss": None,
        "perSource": {},
        "multipleChoice": {"science": result},
    }


def test_the_newest_answers_beside_the_first(finished: Any) -> None:
    lines = [evaluation(64, 0.24), evaluation(320, 0.41)]
    finished.layout.evaluations.write_text("".join(json.dumps(line) + "\n" for line in lines))
    records = read_records(finished.job, finished.layout)
    assert answer_rows(records) == [
        {
            "name": "science",
            "items": "400",
            "accuracy": "41.0 % ± 2.0 %",
            "normalized": "50.0 %",
            "chance": "25.0 %",
            "first": "24.0 %",
        }
    ]
    assert "Questions answered rightly" in render(records)


def test_a_job_without_questions_has_no_such_table(finished: Any) -> None:
    records = read_records(finished.job, finished.layout)
    assert answer_rows(records) == []
    assert "Questions answered rightly" not in render(records)
