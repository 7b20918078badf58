"""Questions with several answers: which one does the model find likeliest?

As EleutherAI's lm-evaluation-harness counts: an answer's score is the log-probability of " " + answer after the
question; `accuracy` takes the highest, `normalizedAccuracy` (its acc_norm) the highest a character of the answer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pretrain_api.multiple_choice import EXAMPLE, Question, parse_questions
from pretrain_trainer.errors import InvalidData
from pretrain_trainer.tokenizer import TextTokenizer

DELIMITER = " "
BATCH_TOKENS = 4096
"""Tokens scored at a time, so that their logits fit."""


@dataclass(frozen=True)
class Request:
    """An answer to score: the last `scored` of `tokens`, each after those before it."""

    item: int
    choice: int
    tokens: tuple[int, ...]
    scored: int


@dataclass(frozen=True)
class Result:
    """How many questions were answered rightly."""

    items: int
    accuracy: float
    normalized_accuracy: float
    standard_error: float
    """Of the accuracy: sqrt(p (1 - p) / (n - 1))."""
    chance: float
    """Accuracy of guessing."""

    def as_json(self) -> dict[str, Any]:
        """Return camelCase keys."""
        return {
            "items": self.items,
            "accuracy": round(self.accuracy, 6),
            "normalizedAccuracy": round(self.normalized_accuracy, 6),
            "accuracyStandardError": round(self.standard_error, 6),
            "chance": round(self.chance, 6),
        }


def read_items(path: Path) -> list[Question]:
    """Return the questions of a file of JSON lines: {"question" or "context", "choices": […], "answer": index}.

    Raises:
        InvalidData: The file is missing, empty, or a line isn't a question; the message names the line.
    """
    try:
        return parse_questions(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        cause = error.strerror if isinstance(error, OSError) else "is no UTF-8 text"
        raise InvalidData(f"{path}: {cause}; name a file with a question a line: {EXAMPLE}") from None
    except ValueError as error:
        raise InvalidData(str(error)) from None


def requests(
    items: Sequence[Question], tokenizer: TextTokenizer, max_length: int, begin: int | None
) -> Iterator[Request]:
    """Yield an answer after the other.

    The answer's tokens are those that the question with the answer has beyond those of the question alone. Of a text
    that is too long the beginning is left out.

    Args:
        items: The questions.
        tokenizer: The model's.
        max_length: Tokens that the model sees at a time.
        begin: Token that stands before an empty question.
    """
    for number, item in enumerate(items):
        context = item.context.rstrip()
        moved = item.context[len(context) :]  # spaces at the end belong to the answer, as the harness has it
        alone = tokenizer.encode(context) if context else []
        for choice, text in enumerate(item.choices):
            whole = tokenizer.encode(context + moved + DELIMITER + text)
            scored = max(1, len(whole) - len(alone))
            tokens = whole if len(whole) > scored or begin is None else [begin, *whole]
            scored = min(scored, len(tokens) - 1, max_length)
            yield Request(number, choice, tuple(tokens[-(max_length + 1) :]), scored)


def scores(
    asked: Sequence[Request],
    logits: Callable[[Tensor], Tensor],
    rank: int = 0,
    world_size: int = 1,
    beat: Callable[[], None] = lambda: None,
) -> list[float]:
    """Return the log-probability of each answer, in nats; 0 for those of other ranks.

    Args:
        asked: The answers.
        logits: The network: from token ids int64[batch, length] to logits [batch, length, vocabulary]. All ranks call
            it equally often, as ZeRO 3 needs.
        rank: This rank: it scores its share of the batches.
        world_size: Ranks that share them.
        beat: Called after each batch.
    """
    found = [0.0] * len(asked)
    parts = list(batches(asked))
    for first in range(0, len(parts), world_size):
        mine = first + rank < len(parts)
        batch = parts[first + rank] if mine else parts[-1]
        tokens, places = padded([asked[number] for number in batch])
        values = logits(tokens)
        for row, number in enumerate(batch if mine else ()):
            request = asked[number]
            at = places[row]
            targets = torch.tensor(request.tokens[-request.scored :])
            chosen = values[row, at - request.scored : at].float().log_softmax(-1).cpu()
            found[number] = float(chosen.gather(1, targets[:, None]).sum())
        beat()
    return found


def batches(asked: Sequence[Request]) -> Iterator[list[int]]:
    """Yield the numbers of answers that are scored together: of like lengths, `BATCH_TOKENS` at most."""
    order = sorted(range(len(asked)), key=lambda number: -len(asked[number].tokens))
    batch: list[int] = []
    for number in order:
        longest = len(asked[batch[0]].tokens) if batch else 0
        if batch and longest * (len(batch) + 1) > BATCH_TOKENS:
            yield batch
            batch = []
        batch.append(number)
    if batch:
        yield batch


def padded(asked: Sequence[Request]) -> tuple[Tensor, list[int]]:
    """Return inputs int64[batch, length], padded at the end, and where each one's inputs end."""
    length = max(len(request.tokens) for request in asked) - 1
    tokens = torch.zeros((len(asked), length), dtype=torch.int64)
    for row, request in enumerate(asked):
        tokens[row, : len(request.tokens) - 1] = torch.tensor(request.tokens[:-1])
    return tokens, [len(request.tokens) - 1 for request in asked]


def judged(items: Sequence[Question], asked: Iterable[Request], found: Sequence[float]) -> Result:
    """Return how many questions were answered rightly, given the scores of the answers."""
    by_item: list[list[float]] = [[] for _ in items]
    for request, score in zip(asked, found, strict=True):
        by_item[request.item].append(score)
    right = normalized = 0
    for item, values in zip(items, by_item, strict=True):
        a_character = [value / len(choice) for value, choice in zip(values, item.choices, strict=True)]
        right += values.index(max(values)) == item.answer
        normalized += a_character.index(max(a_character)) == item.answer
    count = len(items)
    accuracy = right / count
    return Result(
        items=count,
        accuracy=accuracy,
        normalized_accuracy=normalized / count,
        standard_error=math.sqrt(accuracy * (1 - accuracy) / max(1, count - 1)),
        chance=sum(1 / len(item.choices) for item in items) / count,
    )
