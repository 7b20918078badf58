"""Answers are scored as transformers' logits say, in the way of lm-evaluation-harness."""

import json
import random
from pathlib import Path

import pytest
import torch
from rank_harness import real_text

from pretrain_api.multiple_choice import Question
from pretrain_trainer.errors import InvalidData
from pretrain_trainer.inference.loading import load_model
from pretrain_trainer.inference.multiple_choice import (
    BATCH_TOKENS,
    Request,
    batches,
    judged,
    read_items,
    requests,
    scores,
)


@pytest.fixture(scope="module")
def items() -> list[Question]:
    noise = random.Random(1)
    words = " ".join(real_text()[:20]).split()
    found = []
    for length in (3, 8, 20, 60, 1):
        start = noise.randrange(1000)
        context = " ".join(words[start : start + length])
        choices = tuple(" ".join(words[(at := noise.randrange(2000)) : at + size]) for size in (1, 2, 5, 9))
        found.append(Question(context, choices, noise.randrange(4)))
    return [
        *found,
        Question("A question that ends in spaces:  ", ("one", "two"), 1),
        Question("", ("the", "statement"), 0),
    ]


def reference_score(model, tokenizer, context: str, choice: str, length: int) -> float:  # type: ignore[no-untyped-def]
    """lm-evaluation-harness, one answer after the other: _encode_pair and _loglikelihood_tokens of its HFLM."""
    continuation = " " + choice
    spaces = len(context) - len(context.rstrip())
    if spaces:
        context, continuation = context[:-spaces], context[-spaces:] + continuation
    if context:
        whole = tokenizer.encode(context + continuation, add_special_tokens=False)
        before = tokenizer.encode(context, add_special_tokens=False)
        after = whole[len(before) :]
        before = whole[: len(before)]
    else:
        before, after = [tokenizer.bos_token_id], tokenizer.encode(continuation, add_special_tokens=False)
    tokens = torch.tensor((before + after)[-(length + 1) :])
    with torch.no_grad():
        logits = model(tokens[None, :-1]).logits[0].log_softmax(-1)
    return float(logits[-len(after) :].gather(1, tokens[-len(after) :, None]).sum())


def test_scores_are_those_of_an_independent_computation(exported: Path, items: list[Question]) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    reference = AutoModelForCausalLM.from_pretrained(exported, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(exported)
    model = load_model(exported)
    asked = list(requests(items, model.tokenizer, model.max_length, model.bos))
    ours = scores(asked, model.logits)
    theirs = [
        reference_score(reference, tokenizer, item.context, choice, 48) for item in items for choice in item.choices
    ]
    assert ours == pytest.approx(theirs, abs=1e-3)
    result = judged(items, asked, ours)
    expected = normalized = 0
    at = 0
    for item in items:
        own = theirs[at : at + len(item.choices)]
        at += len(item.choices)
        expected += own.index(max(own)) == item.answer
        each = [score / len(choice) for score, choice in zip(own, item.choices, strict=True)]
        normalized += each.index(max(each)) == item.answer
    assert result.accuracy == pytest.approx(expected / len(items))
    assert result.normalized_accuracy == pytest.approx(normalized / len(items))


def test_figures_of_known_scores() -> None:
    items = [Question("", ("aa", "bbbb"), 1), Question("", ("a", "b"), 0), Question("", ("a", "b", "c", "d"), 2)]
    asked = [Request(i, c, (1, 2), 1) for i, item in enumerate(items) for c in range(len(item.choices))]
    result = judged(items, asked, [-2.0, -3.0, -1.0, -2.0, -1.0, -5.0, -5.0, -5.0])
    assert result.accuracy == pytest.approx(1 / 3)
    assert result.normalized_accuracy == pytest.approx(2 / 3)  # -3 over four characters is better than -2 over two
    assert result.chance == pytest.approx((1 / 2 + 1 / 2 + 1 / 4) / 3)
    assert result.standard_error == pytest.approx((1 / 3 * 2 / 3 / 2) ** 0.5)


def test_every_answer_is_in_one_batch_that_fits() -> None:
    noise = random.Random(2)
    asked = [Request(n, 0, tuple(range(noise.randrange(2, 900))), 1) for n in range(200)]
    parts = list(batches(asked))
    assert sorted(number for part in parts for number in part) == list(range(200))
    assert all(max(len(asked[n].tokens) for n in part) * len(part) <= BATCH_TOKENS for part in parts)


def write(path: Path, *lines: object) -> Path:
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines) + "\n")
    return path


def test_question_and_context_mean_the_same(tmp_path: Path) -> None:
    question = {"choices": ["a", "b"], "answer": 1}
    path = write(tmp_path / "f.jsonl", {"question": "q", **question}, "", {"context": "q", **question, "id": 3})
    assert read_items(path) == [Question("q", ("a", "b"), 1)] * 2


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        ("{", "is no JSON"),
        ([1], "no JSON object"),
        ({"choices": ["a", "b"], "answer": 0}, "no text as question"),
        ({"question": "q", "choices": ["a"], "answer": 0}, "two texts or more"),
        ({"question": "q", "choices": ["a", ""], "answer": 0}, "two texts or more"),
        ({"question": "q", "choices": ["a", "b"], "answer": 2}, "answer is 2"),
        ({"question": "q", "choices": ["a", "b"], "answer": "0"}, "answer is '0'"),
    ],
)
def test_a_line_that_is_no_question_is_named(tmp_path: Path, line: object, cause: str) -> None:
    path = write(tmp_path / "f.jsonl", {"question": "q", "choices": ["a", "b"], "answer": 0}, line)
    with pytest.raises(InvalidData, match=rf"f\.jsonl:2: .*{cause}.*write a line like"):
        read_items(path)


def test_a_file_that_is_not_there_or_empty_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidData, match="No such file"):
        read_items(tmp_path / "none.jsonl")
    with pytest.raises(InvalidData, match="holds no question"):
        read_items(write(tmp_path / "f.jsonl", ""))
