"""Multiple-choice questions that a model in training answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pretrain_api.multiple_choice import Question
from pretrain_api.spec.training import Evaluation
from pretrain_api.wire import Blend, StorageLayout
from pretrain_trainer.engine.training_engine import TrainingEngine
from pretrain_trainer.inference.multiple_choice import Request, judged, read_items, requests, scores
from pretrain_trainer.inference.text import load_tokenizer


@dataclass(frozen=True)
class Questions:
    """A file of questions as tokens."""

    name: str
    items: list[Question]
    asked: list[Request]


def read_questions(evaluation: Evaluation, storage: StorageLayout, blend: Blend, max_length: int) -> list[Questions]:
    """Return the questions that the job asks, as the preparation left them.

    Raises:
        InvalidData: A file or the tokenizer is missing, or a line isn't a question.
    """
    if not evaluation.multiple_choice:
        return []
    tokenizer = load_tokenizer(storage.root / blend.tokenizer)
    special = blend.special_tokens
    begin = special.eos if special.bos is None else special.bos
    files = []
    for each in evaluation.multiple_choice:
        items = read_items(storage.evaluation_files / f"{each.name}.jsonl")
        files.append(Questions(each.name, items, list(requests(items, tokenizer, max_length, begin))))
    return files


@torch.no_grad()
def answer(engine: TrainingEngine, files: list[Questions], beat: Callable[[], None]) -> dict[str, dict[str, Any]]:
    """Return by file how many questions the model answers rightly; a collective, equal on all ranks."""

    def logits(tokens: Tensor) -> Tensor:
        values: Tensor = engine.module(tokens.to(engine.group.device))
        return values

    group, results = engine.group, {}
    engine.deepspeed.eval()
    for file in files:
        found = group.sum(scores(file.asked, logits, group.rank, group.world_size, beat))
        results[file.name] = judged(file.items, file.asked, found).as_json()
    engine.deepspeed.train()
    return results
