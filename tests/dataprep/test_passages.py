"""Repeated passages and stretches of words through the stages."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .conftest import Preparation, article, sentence, write_jsonl
from .test_determinism import token_documents

Make = Callable[..., Preparation]
BOILERPLATE = "Subscribe to our letter, and read of rivers, stones and gardens every morning of the year."


def sources(folder: Path) -> list[dict[str, Any]]:
    generator = random.Random(7)
    texts = [f"{article(generator, 10)}\n\n{BOILERPLATE}\n\n{sentence(generator, 9)}" for _ in range(40)]
    texts.append(f"{BOILERPLATE}\n\nToo little is left of this one.")
    for part in range(3):
        write_jsonl(folder / f"part-{part}.jsonl", texts[part::3])
    return [{"name": "web", "uri": f"{folder}/*.jsonl"}]


def kept_texts(prepared: Preparation) -> list[str]:
    import sentencepiece

    processor = sentencepiece.SentencePieceProcessor(model_file=str(prepared.layout.tokenizer / "tokenizer.model"))
    import numpy as np

    documents = [np.frombuffer(key.split(b"/", 2)[2], np.uint16)[:-1] for key in token_documents(prepared.storage)]
    return [processor.decode(document.tolist()) for document in documents]


@pytest.mark.slow
@pytest.mark.parametrize(
    "dedup",
    [{"passages": {"unit": "paragraph"}}, {"passages": {"unit": "line"}}, {"substring": {"minWords": 10}}],
    ids=["paragraph", "line", "substring"],
)
def test_repeated_text_is_cut(preparation: Make, tmp_path: Path, dedup: dict[str, Any]) -> None:
    options = {"sources": sources(tmp_path / "corpus"), "dedup": {"near": None, **dedup}, "keepRemoved": True}
    one = preparation("one", **options, shards=1)
    one.call_all()
    report = json.loads(one.layout.data_report.read_bytes())
    assert report["sources"][0]["documentsRead"] == 41
    assert report["sources"][0]["documentsKept"] == 40
    assert {entry["reason"]: entry["documents"] for entry in report["sources"][0]["removed"]} == {"repeated-text": 1}
    texts = kept_texts(one)
    assert len(texts) == 40
    assert sum("Subscribe to our letter" in text for text in texts) == 1
    assert 39 * len(BOILERPLATE) * 0.9 < report["cutBytes"] < 39 * len(BOILERPLATE) * 1.3
    three = preparation("three", **options, shards=3)
    three.call_all()
    assert token_documents(one.storage) == token_documents(three.storage)
    assert (one.layout.tokenizer / "tokenizer.model").read_bytes() == (
        three.layout.tokenizer / "tokenizer.model"
    ).read_bytes()
