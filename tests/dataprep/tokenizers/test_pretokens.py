"""Encoding by pre-tokens gives the tokens that the library gives for the whole text."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.dataprep.tokenizers.test_tokenizers import TEXTS, train

from pretrain_dataprep.text.batch import TextBatch
from pretrain_dataprep.tokenizers import pretokens, word_patterns
from pretrain_dataprep.tokenizers.folder import load_tokenizer
from pretrain_dataprep.tokenizers.huggingface import HuggingFaceTokenizer
from pretrain_dataprep.tokenizers.model_proto import BPE, encoding_facts
from pretrain_dataprep.tokenizers.pretokens import PretokenEncoder, joined_in_words
from pretrain_dataprep.tokenizers.sentencepiece_model import SentencePieceTokenizer

# Of all kinds that patterns tell apart, and all that end in a byte of another white space.
CHARACTERS = " \n\t\r\0\x1c'sStaAzZ0129.,/_-()<>[]éßſİς\u0301日本кот\u0085\u00a0\u2003\u2028\u3000\u200b▁🙂\u0e01"
WORDS = ["the", " the", "  ", "\n\n", "'s", "'LL", " 1234", "<s>", "[MASK]", "<|endoftext|>", "▁▁", " ▁", "<0x0A>"]
HOSTILE = st.lists(st.sampled_from([*CHARACTERS, *WORDS]), max_size=30).map("".join)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("trained")
    given = {
        "sentencepiece": {"algorithm": "sentencepiece-bpe"},
        "sentencepiece-without-bytes": {"algorithm": "sentencepiece-bpe", "byteFallback": False},
        "huggingface-bpe": {"algorithm": "huggingface-bpe"},
        "huggingface-wordpiece": {"algorithm": "huggingface-wordpiece", "lowercase": True},
    }
    return {name: train(root / name, ("[MASK]",), **options) for name, options in given.items()}


def whole_texts(tokenizer: Any) -> Callable[[list[str]], Sequence[Sequence[int]]]:
    """Return the library's own encoding of whole texts."""
    if isinstance(tokenizer, SentencePieceTokenizer):
        return lambda texts: tokenizer._processor.encode(texts, num_threads=1)
    return tokenizer._ids


@pytest.mark.parametrize(
    "name", ["sentencepiece", "sentencepiece-without-bytes", "huggingface-bpe", "huggingface-wordpiece"]
)
def test_the_tokens_are_those_of_the_whole_text(folders: dict[str, Path], name: str) -> None:
    tokenizer: Any = load_tokenizer(folders[name])
    assert tokenizer._pretokens is not None
    expected = whole_texts(tokenizer)

    @settings(max_examples=150)
    @given(st.lists(HOSTILE | st.text(max_size=20) | st.sampled_from(TEXTS[:6]), max_size=4))
    def check(texts: list[str]) -> None:
        assert [tokens.tolist() for tokens in tokenizer.encode(texts)] == expected(texts)

    check()


@pytest.mark.parametrize("pattern", sorted(word_patterns._AS_PUBLISHED))
@settings(max_examples=300)
@given(text=HOSTILE)
def test_a_text_is_cut_where_every_pattern_cuts_it(pattern: str, text: str) -> None:
    """And the parts are cut as the whole is."""
    joined = joined_in_words()
    content = text.encode()
    cuts = [place for place in range(1, len(content)) if not joined[content[place - 1], content[place]]]
    parts = [content[start:end].decode() for start, end in zip([0, *cuts], [*cuts, len(content)], strict=True)]
    compiled = regex.compile(pattern)
    assert [match for part in parts for match in compiled.findall(part)] == compiled.findall(text)


def test_the_patterns_are_those_of_tiktoken(monkeypatch: pytest.MonkeyPatch) -> None:
    from tiktoken_ext import openai_public

    monkeypatch.setattr(openai_public, "load_tiktoken_bpe", lambda *_, **__: {})
    encodings = (openai_public.cl100k_base(), openai_public.o200k_base())
    patterns = {openai_public.r50k_pat_str, *(encoding["pat_str"] for encoding in encodings)}
    assert patterns <= word_patterns.PATTERNS


def test_what_was_seen_is_given_to_the_library_once() -> None:
    asked: list[str] = []

    def encode(texts: list[str]) -> list[list[int]]:
        asked.extend(texts)
        return [list(text.encode()) for text in texts]

    encoder = PretokenEncoder(joined_in_words(), encode)
    for _ in range(2):
        batch = encoder.encode(TextBatch.of([b"one two one", b"", b" two"]))
        assert [bytes(tokens.tolist()) for tokens in batch.documents()] == [b"one two one", b"", b" two"]
    assert asked == ["one", " two", " one"]


@pytest.mark.parametrize("most", [1 << 19, 100])
def test_room_grows_and_memory_is_bounded(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pretokens, "MOST_PRETOKENS", most)
    asked: list[int] = []

    def encode(texts: list[str]) -> list[list[int]]:
        asked.append(len(texts))
        return [list(text.encode()) for text in texts]

    encoder = PretokenEncoder(joined_in_words(), encode)
    texts = [b" ".join(b"%d" % number for number in range(first, first + 30_000)) for first in (0, 0, 7, 90_000)]
    texts += [b"x" * 300_000, b"", "日本".encode() * 1000]
    for _ in range(2):
        for text in texts:
            (tokens,) = encoder.encode(TextBatch.of([text])).documents()
            assert bytes(tokens.tolist()) == text
    assert len(asked) == (len(texts) * 2 - 2 if most == 100 else 5)


def test_a_failure_of_the_library_leaves_nothing_half_known() -> None:
    failures = [MemoryError()]

    def encode(texts: list[str]) -> list[list[int]]:
        if failures:
            raise failures.pop()
        return [list(text.encode()) for text in texts]

    encoder = PretokenEncoder(joined_in_words(), encode)
    with pytest.raises(MemoryError):
        encoder.encode(TextBatch.of([b"one two"]))
    (tokens,) = encoder.encode(TextBatch.of([b"one two three"])).documents()
    assert bytes(tokens.tolist()) == b"one two three"


def test_other_tokenizers_get_whole_texts(folders: dict[str, Path], tmp_path: Path) -> None:
    unigram: Any = load_tokenizer(train(tmp_path / "unigram", algorithm="sentencepiece-unigram"))
    assert unigram._pretokens is None
    document = json.loads((folders["huggingface-bpe"] / "tokenizer.json").read_bytes())
    word = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": True, "special": False}
    changed: list[dict[str, Any]] = [
        {"pre_tokenizer": None},
        {"pre_tokenizer": {**document["pre_tokenizer"], "add_prefix_space": True}},
        {"normalizer": {"type": "NFKC"}},
        {"normalizer": {"type": "Replace", "pattern": {"String": " "}, "content": "x"}},
        {"added_tokens": [*document["added_tokens"], {**word, "id": 1000, "content": "of the"}]},
        {"model": {**document["model"], "dropout": 0.1}},
    ]
    for change in changed:
        (tmp_path / "tokenizer.json").write_text(json.dumps(document | change))
        tokenizer: Any = HuggingFaceTokenizer(tmp_path)
        assert tokenizer._pretokens is None
        assert len(tokenizer.encode(TEXTS)) == len(TEXTS)


def test_the_facts_of_a_sentencepiece_model(folders: dict[str, Path]) -> None:
    models = {name: (folders[name] / "tokenizer.model").read_bytes() for name in folders if "sentencepiece" in name}
    for name, model in models.items():
        facts = encoding_facts(model)
        assert (facts.model_type, facts.charsmap, facts.byte_fallback) == (BPE, b"", name == "sentencepiece")
        assert (facts.add_dummy_prefix, facts.remove_extra_whitespaces, facts.escape_whitespaces) == (True, False, True)
        with pytest.raises(ValueError, match="at byte"):
            encoding_facts(model[:-1])


def test_a_sentencepiece_model_that_normalises_gets_whole_texts(tmp_path: Path) -> None:
    import sentencepiece

    path = tmp_path / "normalising.model"
    with path.open("wb") as file:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(TEXTS[0].splitlines()), model_writer=file, vocab_size=300, model_type="bpe",
            hard_vocab_limit=False, minloglevel=2,
        )  # fmt: skip
    tokenizer = SentencePieceTokenizer(path)
    assert encoding_facts(path.read_bytes()).charsmap
    assert tokenizer._pretokens is None
    (tokens,) = tokenizer.encode(["ﬁne  print"])
    np.testing.assert_array_equal(tokens, tokenizer._processor.encode("ﬁne  print"))
