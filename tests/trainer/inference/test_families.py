"""Every family can be used: loaded from its export, asked, made int8."""

from pathlib import Path

import pytest
import torch

from pretrain_trainer.errors import InvalidConfiguration
from pretrain_trainer.inference.generation import continuation
from pretrain_trainer.inference.int8 import export_int8
from pretrain_trainer.inference.loading import load_model
from pretrain_trainer.inference.sampling import SamplingSettings

from .conftest import export, trained

GREEDY = SamplingSettings(temperature=0, max_tokens=8)
PROMPT = list(range(100, 110))


WRITERS = ["gpt2", "mixtral", "t5", "bloom", "deepseek-moe", "deepseek-v3", "baichuan", "gpt-neox", "opt", "falcon"]


@pytest.mark.parametrize("family", WRITERS)
def test_the_likeliest_text_is_that_of_transformers_and_int8_is_close(
    tokenized: Path, tmp_path: Path, family: str
) -> None:
    from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

    directory = export(tokenized, family)
    transformers_class = AutoModelForSeq2SeqLM if family == "t5" else AutoModelForCausalLM
    reference = transformers_class.from_pretrained(directory, dtype=torch.float32).eval()
    tokens = torch.tensor([PROMPT])
    theirs = reference.generate(tokens, attention_mask=torch.ones_like(tokens), max_new_tokens=8, do_sample=False)
    written = theirs[0, 1 if family == "t5" else len(PROMPT) :].tolist()
    model = load_model(directory)
    assert list(continuation(model, PROMPT, GREEDY)) == [token for token in written if token != model.eos]
    export_int8(directory, tmp_path / "int8")
    close = load_model(tmp_path / "int8").next_logits(PROMPT, [])
    exact = model.next_logits(PROMPT, [])
    assert float((close - exact).norm() / exact.norm()) < 0.1


@pytest.mark.parametrize("family", ["glm", "baichuan-alibi"])
def test_a_network_that_transformers_has_no_class_of_is_loaded_from_its_export(tokenized: Path, family: str) -> None:
    model = load_model(export(tokenized, family))
    with torch.no_grad():
        expected = trained(family)(torch.tensor([PROMPT]))[0, -1]
    torch.testing.assert_close(model.next_logits(PROMPT, []), expected, check_device=False)
    assert len(list(continuation(model, PROMPT, GREEDY))) > 0


def test_an_encoder_loads_and_writes_no_text(tokenized: Path) -> None:
    model = load_model(export(tokenized, "bert"))
    assert model.kind == "encoder"
    with pytest.raises(InvalidConfiguration, match="writes no text"):
        next(continuation(model, PROMPT, GREEDY))
