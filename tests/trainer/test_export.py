"""The export is what Hugging Face's libraries expect."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from rank_harness import job, lines, real_text, real_text_blend, run_ranks
from safetensors.torch import load_file

from pretrain_api.spec.model import Model
from pretrain_api.wire import StorageLayout
from pretrain_trainer.data.dataset import ValidationData, read_blend
from pretrain_trainer.models.families import build_model

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short run on real text; ZeRO 3, so that no rank has the whole model at the end."""
    storage = tmp_path_factory.mktemp("export")
    real_text_blend(storage)
    run_ranks(storage, job(storage, training__parallelism={"zero": 3}, training__evaluation={"everyTokens": 4096}))
    return storage


def test_logits_are_those_of_the_trained_model(storage: Path) -> None:
    from transformers import AutoModelForCausalLM

    exported = AutoModelForCausalLM.from_pretrained(storage / "model", dtype=torch.float32).eval()
    spec = Model.model_validate(json.loads((storage / "job.json").read_text())["spec"]["model"])
    model = build_model(spec, vocab_size=1000, sequence_length=32)
    model.load_state_dict(load_file(storage / "model/model.safetensors"))
    tokens = torch.randint(0, 1000, (2, 32), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(model(tokens), exported(tokens).logits, atol=1e-4, rtol=0)
    assert exported.config.eos_token_id == 3
    assert exported.config.bos_token_id == 2


def test_the_exported_weights_have_the_validation_loss_that_was_reported(storage: Path) -> None:
    from transformers import AutoModelForCausalLM

    exported = AutoModelForCausalLM.from_pretrained(storage / "model", dtype=torch.float32).eval()
    data = ValidationData(read_blend(StorageLayout(storage)), storage, 32, max_sequences=256)
    ((inputs, targets),) = data.batches("topics", 256, 0, 1)
    with torch.no_grad():
        logits = exported(torch.from_numpy(inputs)).logits
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), torch.from_numpy(targets).flatten())
    reported = lines(storage / "evaluations.jsonl")
    assert reported[-1]["step"] == 25
    assert len(reported) == 3
    assert loss.item() == pytest.approx(reported[-1]["validationLoss"], abs=1e-4)


@pytest.mark.parametrize("kind", ["auto", "llama"])
def test_the_tokenizer_gives_the_same_ids(storage: Path, kind: str) -> None:
    import sentencepiece
    from transformers import AutoTokenizer, LlamaTokenizer

    tokenizer_class = {"auto": AutoTokenizer, "llama": LlamaTokenizer}[kind]
    tokenizer = tokenizer_class.from_pretrained(storage / "model")
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(storage / "data/tokenizer/tokenizer.model"))
    texts = [*real_text()[:40], "naïve café, 日本語 and 🙂\ttabs\n\n  indented", "trailing ", ""]
    if kind == "auto":  # LlamaTokenizer puts no space before a text that begins with one
        texts.append(" leading")
    for text in texts:
        assert tokenizer.encode(text, add_special_tokens=False) == pieces.encode(text)
        assert tokenizer.decode(pieces.encode(text)) == pieces.decode(pieces.encode(text))
    assert (tokenizer.eos_token_id, tokenizer.bos_token_id, tokenizer.unk_token_id) == (3, 2, 1)


def test_samples_continue_validation_documents(storage: Path) -> None:
    samples = json.loads((storage / "samples.json").read_text())
    assert len(samples) == 3
    text = "".join(real_text()[:5])
    for sample in samples:
        assert sample["prompt"] in text
        assert sample["text"]
    assert len({sample["prompt"] for sample in samples}) == 3
