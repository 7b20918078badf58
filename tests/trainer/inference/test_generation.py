"""Texts are continued as transformers does it with the same weights."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from pretrain_trainer.errors import InvalidConfiguration, InvalidData
from pretrain_trainer.inference.generation import continuation
from pretrain_trainer.inference.loading import LoadedModel, load_model
from pretrain_trainer.inference.sampling import SamplingSettings
from pretrain_trainer.inference.text import pieces_of_text

GREEDY = SamplingSettings(temperature=0, max_tokens=20)


@pytest.fixture(scope="module")
def model(exported: Path) -> LoadedModel:
    return load_model(exported)


def test_the_likeliest_continuation_is_that_of_transformers(exported: Path, model: LoadedModel) -> None:
    from transformers import AutoModelForCausalLM

    reference = AutoModelForCausalLM.from_pretrained(exported, dtype=torch.float32).eval()
    prompt = model.tokenizer.encode("The statement")
    theirs = reference.generate(
        torch.tensor([prompt]), attention_mask=torch.ones(1, len(prompt)), max_new_tokens=20, do_sample=False
    )[0, len(prompt) :].tolist()
    ours = list(continuation(model, prompt, GREEDY))
    assert ours == [token for token in theirs if token != model.eos]


def test_the_same_seed_writes_the_same_and_another_one_something_else(model: LoadedModel) -> None:
    texts = [list(continuation(model, [50], SamplingSettings(seed=seed, max_tokens=30))) for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]


def test_a_text_may_get_longer_than_the_sequences(model: LoadedModel) -> None:
    endless = replace(model, eos=None)
    assert len(list(continuation(endless, [50], SamplingSettings(max_tokens=70)))) == 70


def test_nothing_comes_after_the_end_of_the_document(model: LoadedModel) -> None:
    first = next(iter(continuation(model, [50], GREEDY)))
    assert list(continuation(replace(model, eos=first), [50], GREEDY)) == []


def test_an_empty_prompt_begins_a_document(model: LoadedModel) -> None:
    assert list(continuation(model, [], GREEDY)) == list(continuation(model, [2], GREEDY))
    with pytest.raises(InvalidConfiguration, match="write a prompt"):
        list(continuation(replace(model, bos=None, eos=None), [], GREEDY))


def test_encoders_write_no_text(model: LoadedModel) -> None:
    with pytest.raises(InvalidConfiguration, match="writes no text"):
        list(continuation(replace(model, kind="encoder"), [50], GREEDY))


def test_characters_of_several_tokens_come_whole(model: LoadedModel) -> None:
    text = "naïve 🙂 café"
    tokens = model.tokenizer.encode(text)
    pieces = list(pieces_of_text(tokens, model.tokenizer, []))
    assert "".join(pieces) == text
    assert not any("\ufffd" in piece for piece in pieces)
    assert len(pieces) < len(tokens) + 1


def test_a_configuration_of_another_program_is_read(exported: Path, model: LoadedModel, tmp_path: Path) -> None:
    shutil.copytree(exported, tmp_path / "copy")
    config = json.loads((exported / "config.json").read_text())
    del config["pretrain_network"]
    (tmp_path / "copy/config.json").write_text(json.dumps(config))
    tokens = torch.arange(10)[None]
    torch.testing.assert_close(load_model(tmp_path / "copy").logits(tokens), model.logits(tokens))


def test_a_directory_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidData, match="name a run or an export"):
        load_model(tmp_path)


def test_damaged_weights_are_named(exported: Path, tmp_path: Path) -> None:
    shutil.copytree(exported, tmp_path / "copy")
    (tmp_path / "copy/model.safetensors").write_bytes(b"no weights")
    with pytest.raises(InvalidData, match=r"model\.safetensors"):
        load_model(tmp_path / "copy")
