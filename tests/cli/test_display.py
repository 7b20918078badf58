"""The displays of `pretrain run`."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from pretrain_api.status import PretrainJobStatus
from pretrain_cli.display.live import LiveDisplay
from pretrain_cli.display.plain import PlainDisplay
from pretrain_cli.display.summary import failure_lines
from pretrain_cli.display.words import count, duration
from pretrain_operator.local.engine import Update
from pretrain_operator.planning import Event

PREPARING = {
    "phase": "Preparing",
    "dataPreparation": {
        "stages": [
            {
                "name": "clean",
                "state": "Succeeded",
                "completed": 4,
                "total": 4,
                "documentsIn": 900,
                "documentsOut": 850,
            },
            {"name": "tokenize", "state": "Running", "completed": 1, "total": 4, "documentsIn": 200},
            {"name": "blend", "total": 1},
        ]
    },
}
TRAINING = {
    **PREPARING,
    "phase": "Training",
    "training": {
        "step": 120,
        "totalSteps": 300,
        "loss": 4.25,
        "validationLoss": 4.5,
        "learningRate": 0.001,
        "tokensPerSecond": 12_345.0,
        "estimatedRemainingSeconds": 75.0,
        "batchStage": 1,
        "batchTokens": 4096,
    },
    "restarts": {"total": 2},
}


def status(document: dict[str, object]) -> PretrainJobStatus:
    return PretrainJobStatus.model_validate(document)


def on_a_terminal(*updates: Update) -> str:
    """Return what is left on a terminal, without colours and movements."""
    output = io.StringIO()
    console = Console(file=output, force_terminal=True, width=140, height=40)
    with LiveDisplay(console, "tiny") as display:
        for update in updates:
            display.show(update)
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", output.getvalue())


def test_live_display_shows_stages_and_training() -> None:
    text = on_a_terminal(Update(status(PREPARING)), Update(status(TRAINING)))
    for words in ("clean", "4/4", "900 documents → 850", "tokenize", "1/4", "120/300", "12,345 tokens/s", "1:15 left"):
        assert words in text
    for words in ("loss 4.250", "validation loss 4.500", "learning rate 1.00e-03", "batch stage 2: 4,096 tokens"):
        assert words in text
    assert "restarts 2" in text


def test_live_display_writes_warnings_once_and_keeps_markup_as_text() -> None:
    twice = (Event("Warning", "LossSpike", "rolled [back]"), Event("Warning", "Failed", "rolled [back]"))
    text = on_a_terminal(Update(status(TRAINING), twice))
    assert text.count("rolled [back]") == 1


def test_plain_display() -> None:
    output = io.StringIO()
    with PlainDisplay(output, every_seconds=0.0) as display:
        display.show(Update(status(PREPARING), (Event("Normal", "Preparing", "tokenize: started"),)))
        display.show(Update(status(TRAINING)))
    lines = output.getvalue().splitlines()
    assert lines[0] == "[0:00] tokenize: started"
    assert lines[1].startswith("[0:00] tokenize: 1/4, 200 documents")
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", output.getvalue())


def test_plain_display_is_sparing() -> None:
    output = io.StringIO()
    with PlainDisplay(output, every_seconds=1000.0) as display:
        for _ in range(20):
            display.show(Update(status(TRAINING)))
    assert output.getvalue() == ""


def test_training_line_when_the_data_is_done() -> None:
    output = io.StringIO()
    with PlainDisplay(output, every_seconds=0.0) as display:
        display.show(Update(status({key: value for key, value in TRAINING.items() if key != "dataPreparation"})))
    assert output.getvalue() == (
        "[0:00] step 120/300, loss 4.250, validation loss 4.500, learning rate 1.00e-03, "
        "batch stage 2 (4,096 tokens), 12,345 tokens/s, 1:15 left\n"
    )


@pytest.mark.parametrize(
    ("message", "why", "remedy"),
    [
        ("clean 0: a.jsonl:3: broken; mend it", "clean 0: a.jsonl:3: broken", "mend it"),
        ("trainer 0: 3 restarts; last: full; make room", "trainer 0: 3 restarts; last: full", "make room"),
        (
            "clean 1 was killed (SIGKILL); its log is /x",
            "clean 1 was killed (SIGKILL)",
            "look into the log; the same command goes on from what is done",
        ),
        ("broken", "broken", "look into the log; the same command goes on from what is done"),
    ],
)
def test_failure_lines(tmp_path: object, message: str, why: str, remedy: str) -> None:
    from pretrain_api.wire import StorageLayout

    failed = {"type": "Failed", "status": "True", "reason": "InvalidData", "message": message}
    lines = failure_lines(status({"conditions": [failed]}), StorageLayout(str(tmp_path)))
    assert lines == [f"failed: {why}", f"what to do: {remedy}"]


@pytest.mark.parametrize(
    ("seconds", "text"), [(7, "0:07"), (754, "12:34"), (3723, "1:02:03"), (1_780_000, "20 d 14 h"), (-3, "0:00")]
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(("value", "text"), [(999, "999"), (12345, "12,345"), (12_300_000, "12.3M"), (1.4e12, "1.4T")])
def test_count(value: float, text: str) -> None:
    assert count(value) == text
