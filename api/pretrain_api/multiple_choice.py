"""Multiple-choice questions: a line of JSON each, {"question" or "context", "choices": […], "answer": index}."""

from __future__ import annotations

import json
from dataclasses import dataclass

EXAMPLE = '{"question": "2 + 2 =", "choices": ["4", "5"], "answer": 0}'


@dataclass(frozen=True)
class Question:
    """A question with its answers."""

    context: str
    choices: tuple[str, ...]
    answer: int
    """Index of the right one."""


def parse_question(line: str) -> Question:
    """Return the question of a line.

    Raises:
        ValueError: It is none; the message says why, and what would be right.
    """
    try:
        fields = json.loads(line)
    except ValueError as error:
        raise _refusal(f"is no JSON ({error})") from None
    if not isinstance(fields, dict):
        raise _refusal("is no JSON object")
    context = fields.get("question", fields.get("context"))
    choices, answer = fields.get("choices"), fields.get("answer")
    if not isinstance(context, str):
        raise _refusal("has no text as question or context")
    if not isinstance(choices, list) or len(choices) < 2 or not all(isinstance(c, str) and c for c in choices):
        raise _refusal("choices isn't a list of two texts or more")
    if not isinstance(answer, int) or isinstance(answer, bool) or not 0 <= answer < len(choices):
        raise _refusal(f"answer is {answer!r}, not the index of one of the {len(choices)} choices")
    return Question(context, tuple(choices), answer)


def parse_questions(text: str, where: str) -> list[Question]:
    """Return the questions of a file's text.

    Raises:
        ValueError: A line isn't one, or there are none; the message begins with `where` and the line's number.
    """
    questions = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            try:
                questions.append(parse_question(line))
            except ValueError as error:
                raise ValueError(f"{where}:{number}: {error}") from None
    if not questions:
        raise ValueError(f"{where}: holds no question; write one a line: {EXAMPLE}")
    return questions


def _refusal(what: str) -> ValueError:
    return ValueError(f"{what}; write a line like {EXAMPLE}")
