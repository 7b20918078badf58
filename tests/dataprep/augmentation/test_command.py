"""Texts through a program: any number of them before its first answer, and every way in which it can fail."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pretrain_dataprep.augmentation.command import check_command, command_rewriter
from pretrain_dataprep.errors import ConfigurationError, InputError, TemporaryError

TEXTS = [f"text {number} of many" for number in range(3000)]


def python(program: str) -> str:
    return f'{sys.executable} -c "{program}"'


@pytest.mark.parametrize(
    "program",
    ["tr a-z A-Z", python("import sys; lines = sys.stdin.readlines(); sys.stdout.write(str.upper(str().join(lines)))")],
    ids=["as they come", "after the last one"],
)
def test_texts_come_back_in_order(program: str) -> None:
    assert list(command_rewriter(program)(TEXTS)) == [text.upper() for text in TEXTS]


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("false", "false: ended with exit code 1; the command reads JSON strings, one a line"),
        ("sed s/.*/x/", "line 1 of its output is no JSON string: x; the command reads"),
        ("sed s/.*/7/", "line 1 of its output is no JSON string: 7"),
        ("/no/such/program", "No such file or directory; write the path of a program"),
    ],
)
def test_programs_that_fail(program: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        list(command_rewriter(program)(TEXTS))


def test_answers_are_made_uniform(tmp_path: Path) -> None:
    (tmp_path / "answer.sed").write_text(r's/.*/"one \\r\\ntwo\\u0000"/')
    assert list(command_rewriter(f"sed -f {tmp_path / 'answer.sed'}")(["a", "b"])) == ["one\ntwo", "one\ntwo"]


def test_a_program_that_is_killed_is_tried_again() -> None:
    with pytest.raises(TemporaryError, match="was ended by signal 9; give the pod more memory"):
        list(command_rewriter("sh -c 'kill -9 $$'")(TEXTS))


@pytest.mark.parametrize(
    "program", ["sleep 1000", "sh -c 'head -1; exec sleep 1000'", "sh -c 'cat; exec >&-; sleep 1000'"]
)
def test_a_program_that_hangs_is_ended_and_tried_again(program: str) -> None:
    with pytest.raises(TemporaryError, match=r"read and wrote nothing for 1 seconds, and was ended; .* timeoutSeconds"):
        list(command_rewriter(program, timeout_seconds=1)(TEXTS))


def test_a_program_that_reads_or_writes_has_time() -> None:
    """It takes longer than the time-out in all, and answers when it has read everything."""

    def texts() -> Iterator[str]:
        for text in TEXTS[:8]:
            yield text
            time.sleep(0.5)

    program = python("import sys; lines = sys.stdin.readlines(); sys.stdout.write(str().join(lines))")
    assert list(command_rewriter(program, timeout_seconds=3)(texts())) == TEXTS[:8]


def test_what_fails_while_texts_are_read_is_not_the_programs_fault() -> None:
    def texts() -> Iterator[str]:
        yield "one"
        raise InputError("reading failed")

    with pytest.raises(InputError, match="reading failed"):
        list(command_rewriter("cat")(texts()))


def test_a_program_that_goes_on_is_ended() -> None:
    answers = iter(command_rewriter("cat")(TEXTS))
    assert next(answers) == TEXTS[0]
    answers.close()  # type: ignore[attr-defined]


def test_a_missing_program_is_named() -> None:
    check_command("spec.data.augment[0].command", "cat -u")
    with pytest.raises(ConfigurationError, match=r"augment\[0\].command: traduire: no such program here; write its"):
        check_command("spec.data.augment[0].command", "traduire --to en")
