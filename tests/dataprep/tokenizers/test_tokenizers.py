"""Tokenizers of every library: trained, given, and read by the trainer and by transformers."""

from __future__ import annotations

import base64
import json
import pydoc_data.topics
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pretrain_api.spec.data import Tokenizer as Options
from pretrain_api.spec.data import TrainTokenizer
from pretrain_api.vocabulary import every_reserved_token
from pretrain_dataprep.errors import ConfigurationError, InputError
from pretrain_dataprep.tokenizers.folder import load_tokenizer
from pretrain_dataprep.tokenizers.given import fetch
from pretrain_dataprep.tokenizers.interface import end_token, token_dtype
from pretrain_dataprep.tokenizers.training import train_tokenizer
from pretrain_trainer.export_tokenizer import export_tokenizer
from pretrain_trainer.tokenizer import open_tokenizer

TEXTS = [text for _, text in sorted(pydoc_data.topics.topics.items())][:30]
HARD = [
    "naïve café, 日本語 and 🙂\ttabs\n\n  indented",
    "trailing ",
    " leading",
    "",
    "1234567 ##\n\n\n### a’b I'll",
    "<s>not the end</s> [MASK] <|endoftext|> <extra_id_0>",
]
ALGORITHMS = ("sentencepiece-bpe", "sentencepiece-unigram", "huggingface-bpe", "huggingface-wordpiece")
RESERVED = every_reserved_token(1000)


def train(folder: Path, reserved: tuple[str, ...] = RESERVED, **options: Any) -> Path:
    folder.mkdir()
    settings = TrainTokenizer.model_validate({"vocabSize": 1000, **options})
    train_tokenizer(settings, reserved, [text.encode() for text in TEXTS], folder)
    return folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("trained")
    return {name: train(root / name, algorithm=name) for name in ALGORITHMS}


@pytest.mark.parametrize("name", ALGORITHMS)
def test_special_tokens_are_reserved_and_no_text_becomes_one(trained: dict[str, Path], name: str) -> None:
    tokenizer = load_tokenizer(trained[name])
    assert tokenizer.vocab_size == 1000
    assert set(RESERVED) <= set(tokenizer.reserved_tokens)
    special = {token for token in tokenizer.special_tokens.model_dump().values() if token is not None}
    special |= set(tokenizer.reserved_tokens.values())
    assert end_token(tokenizer) in special
    if name != "huggingface-wordpiece":
        assert tokenizer.special_tokens.model_dump() == {"pad": 0, "unk": 1, "bos": 2, "eos": 3}
    assert max(special) < 4 + len(RESERVED) + 1
    unknown = {tokenizer.special_tokens.unk} if name == "huggingface-wordpiece" else set()
    for tokens in tokenizer.encode([*TEXTS, *HARD]):
        assert not (set(tokens.tolist()) - unknown) & special


@pytest.mark.parametrize("name", ALGORITHMS)
def test_the_trainer_and_transformers_read_them(trained: dict[str, Path], name: str, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = load_tokenizer(trained[name])
    export_tokenizer(trained[name], tmp_path, tokenizer.special_tokens, 128)
    exported, read = AutoTokenizer.from_pretrained(tmp_path), open_tokenizer(trained[name])
    assert read is not None
    assert len(read.pieces()) == len(exported) == 1000
    plain = [text for text in [*TEXTS, *HARD] if "</s>" not in text]  # transformers takes text for special tokens
    for text, tokens in zip(plain, tokenizer.encode(plain), strict=True):
        theirs = exported.encode(text, add_special_tokens=False)
        assert read.encode(text) == tokens.tolist()
        if name == "sentencepiece-unigram":  # of several best ways to cut a text the libraries take different ones
            assert abs(len(theirs) - len(tokens)) <= 1
        else:
            assert theirs == tokens.tolist()
        if name != "huggingface-wordpiece":
            assert read.decode(tokens.tolist()) == exported.decode(tokens.tolist()) == text
    assert exported.mask_token_id == tokenizer.reserved_tokens["[MASK]"]
    assert exported.pad_token_id == tokenizer.special_tokens.pad
    for text, token in tokenizer.reserved_tokens.items():
        assert exported.convert_tokens_to_ids(text) == token


@pytest.mark.parametrize("name", ["huggingface-bpe", "huggingface-wordpiece"])
def test_training_again_gives_the_same_bytes(trained: dict[str, Path], name: str, tmp_path: Path) -> None:
    again = train(tmp_path / "again", algorithm=name)
    for path in sorted(trained[name].iterdir()):
        assert (again / path.name).read_bytes() == path.read_bytes()


def test_an_uncased_wordpiece(tmp_path: Path) -> None:
    tokenizer = load_tokenizer(train(tmp_path / "uncased", algorithm="huggingface-wordpiece", lowercase=True))
    upper, lower = tokenizer.encode(["THE CAFÉ", "the cafe"])
    assert upper.tolist() == lower.tolist()


@pytest.mark.parametrize("name", ["huggingface-bpe", "huggingface-wordpiece"])
def test_a_vocabulary_that_doesnt_fit_the_text(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"the largest possible vocabSize is \d+: lower it to that"):
        train(tmp_path / "large", algorithm=name, vocabSize=900_000)
    if name == "huggingface-wordpiece":
        with pytest.raises(InputError, match=r"the least vocabSize is \d+: raise it to that"):
            train(tmp_path / "small", every_reserved_token(32_000), algorithm=name, vocabSize=300)


def write_ranks(path: Path, folder: Path) -> Path:
    """Write the vocabulary of a byte-level BPE as tiktoken has them, ranks in the order of the ids."""
    from pretrain_dataprep.tokenizers.tiktoken_conversion import as_letters

    letters = {as_letters(bytes([byte])): byte for byte in range(256)}
    model = json.loads((folder / "tokenizer.json").read_bytes())["model"]
    plain = [text for text in sorted(model["vocab"], key=lambda text: model["vocab"][text]) if text in letters]
    merged = ["".join(pair) for pair in model["merges"]]
    tokens = [bytes(letters[letter] for letter in text) for text in dict.fromkeys([*plain, *merged])]
    lines = [base64.b64encode(token) + b" %d\n" % rank for rank, token in enumerate(tokens)]
    path.write_bytes(b"".join(lines))
    return path


# The pattern is that of cl100k_base: possessive counts, and the end of the text, mean other things elsewhere.
PLUGIN = r'''
from tiktoken.load import load_tiktoken_bpe


def small():
    pattern = (
        r"""'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|"""
        r"""\s++$|\s*[\r\n]|\s+(?!\S)|\s"""
    )
    ranks = load_tiktoken_bpe("https://example.invalid/encodings/small.tiktoken")
    special = {"<|endoftext|>": len(ranks) + 5, "<|fim_prefix|>": len(ranks)}
    return {"name": "small", "pat_str": pattern, "mergeable_ranks": ranks, "special_tokens": special}


ENCODING_CONSTRUCTORS = {"small": small}
'''


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An encoding of ours beside those of OpenAI, whose files no package carries."""
    folder = tmp_path / "plugins" / "tiktoken_ext"
    folder.mkdir(parents=True)
    (folder / "small_encoding.py").write_text(PLUGIN)
    from tiktoken import registry

    monkeypatch.syspath_prepend(str(folder.parent))
    for name in [name for name in sys.modules if name.split(".")[0] == "tiktoken_ext"]:
        monkeypatch.delitem(sys.modules, name)
    registry._available_plugin_modules.cache_clear()
    monkeypatch.setattr(registry, "ENCODING_CONSTRUCTORS", None)


@pytest.mark.usefixtures("plugin")
def test_a_tiktoken_encoding(trained: dict[str, Path], tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    ranks = write_ranks(tmp_path / "any-name.tiktoken", trained["huggingface-bpe"])
    folder = tmp_path / "given"
    folder.mkdir()
    fetch(Options.model_validate({"tiktoken": "small", "uri": str(ranks)}), folder)
    tokenizer = load_tokenizer(folder)
    count = len(ranks.read_bytes().splitlines())
    assert (tokenizer.kind, tokenizer.vocab_size) == ("tiktoken", count + 6)
    assert tokenizer.special_tokens.eos == count + 5
    assert tokenizer.reserved_tokens == {"<fim_prefix>": count}
    read = open_tokenizer(folder)
    export_tokenizer(folder, tmp_path, tokenizer.special_tokens, 128)
    exported = AutoTokenizer.from_pretrained(tmp_path)
    assert read is not None
    for text, tokens in zip(TEXTS + HARD[:5], tokenizer.encode(TEXTS + HARD[:5]), strict=True):
        assert read.encode(text) == exported.encode(text) == tokens.tolist()
        assert read.decode(tokens.tolist()) == text
    (tokens,) = tokenizer.encode(["the end <|endoftext|>"])
    assert count + 5 not in tokens.tolist()


@pytest.mark.usefixtures("plugin")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tiktoken": "cl100k"}, "cl100k: no encoding of tiktoken; write one of cl100k_base"),
        ({"tiktoken": "cl100k_base"}, r"cl100k_base.tiktoken isn't the file of cl100k_base \(another SHA-256\)"),
        ({"tiktoken": "gpt2"}, "has no vocab.bpe, which gpt2 needs; fetch https://"),
    ],
)
def test_encodings_that_arent_there(options: dict[str, Any], message: str, tmp_path: Path) -> None:
    files = tmp_path / "files"
    files.mkdir()
    (files / "cl100k_base.tiktoken").write_bytes(b"AA== 0\n")
    (files / "readme.md").write_bytes(b"")
    with pytest.raises((ConfigurationError, InputError), match=message):
        fetch(Options.model_validate({**options, "uri": str(files)}), tmp_path)


def test_a_directory_of_a_hugging_face_model(trained: dict[str, Path], tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    for path in trained["huggingface-bpe"].iterdir():
        (model / path.name).write_bytes(path.read_bytes())
    (model / "model.safetensors").write_bytes(b"large")
    folder = tmp_path / "given"
    folder.mkdir()
    fetch(Options(uri=str(model)), folder)
    assert {path.name for path in folder.iterdir()} == {"tokenizer.json", "tokenizer_config.json"}
    assert load_tokenizer(folder).special_tokens.eos == 3


def test_what_is_no_tokenizer(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "one/weights.bin").write_bytes(b"")
    with pytest.raises(ConfigurationError, match=r"neither tokenizer.json nor a .model file"):
        fetch(Options(uri=str(tmp_path / "one")), tmp_path)
    (tmp_path / "two.tiktoken").write_bytes(b"")
    with pytest.raises(ConfigurationError, match="doesn't say how text is split"):
        fetch(Options(uri=str(tmp_path / "two.tiktoken")), tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(InputError, match="not a tokenizer of Hugging Face's library"):
        load_tokenizer(tmp_path)


@pytest.mark.parametrize(("vocab_size", "dtype"), [(65_499, np.uint16), (65_500, np.int32)])
def test_tokens_are_as_wide_as_megatron_has_them(vocab_size: int, dtype: type) -> None:
    assert token_dtype(vocab_size) is dtype
