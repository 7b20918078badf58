"""The export is what Hugging Face's libraries expect."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
import torch
from rank_harness import job, lines, real_text, real_text_blend, run_ranks
from safetensors.torch import load_file

from pretrain_api.spec.model import Model
from pretrain_api.wire import StorageLayout
from pretrain_trainer.data.dataset import ValidationData, read_blend
from pretrain_trainer.inference.loading import load_model
from pretrain_trainer.inference.multiple_choice import judged, read_items, requests, scores
from pretrain_trainer.models.families import build_model

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short run on real text; ZeRO 3, so that no rank has the whole model at the end."""
    storage = tmp_path_factory.mktemp("export")
    real_text_blend(storage)
    write_questions(StorageLayout(storage).evaluation_files / "topics.jsonl")
    evaluation = {"everyTokens": 4096, "multipleChoice": [{"name": "topics", "uri": "topics.jsonl"}]}
    run_ranks(storage, job(storage, training__parallelism={"zero": 3}, training__evaluation=evaluation))
    return storage


def write_questions(path: Path) -> None:
    """Write questions about real text: which word comes next?"""
    path.parent.mkdir(parents=True)
    noise = random.Random(1)
    words = " ".join(real_text()[:5]).split()
    with path.open("w") as file:
        for _ in range(40):
            at = noise.randrange(100, len(words) - 1)
            choices = [words[at], *noise.sample(words, 3)]
            right = noise.randrange(4)
            choices[0], choices[right] = choices[right], choices[0]
            question = " ".join(words[at - noise.randrange(3, 40) : at])
            file.write(json.dumps({"question": question, "choices": choices, "answer": right}) + "\n")


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
    (windows,) = data.windows("topics", 256, 0, 1)
    assert (windows.lengths == 33).all()
    tokens = torch.from_numpy(windows.rows)
    with torch.no_grad():
        logits = exported(tokens[:, :-1]).logits
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
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


def test_questions_answered_in_training_are_those_of_the_exported_model(storage: Path) -> None:
    """Scored by two ranks under ZeRO 3, and by one process that loads the export."""
    path = StorageLayout(storage).evaluation_files / "topics.jsonl"
    model = load_model(storage)
    items = read_items(path)
    asked = list(requests(items, model.tokenizer, model.max_length, model.bos))
    expected = judged(items, asked, scores(asked, model.logits)).as_json()
    evaluations = lines(storage / "evaluations.jsonl")
    assert len(evaluations) == 3
    assert evaluations[-1]["multipleChoice"] == {"topics": expected}
    assert expected["items"] == 40
    assert expected["accuracy"] > expected["chance"]


def test_what_training_saw_is_in_the_records(storage: Path) -> None:
    (source,) = lines(storage / "evaluations.jsonl")[-1]["sources"]
    last = lines(storage / "metrics.jsonl")[-1]
    assert (source["name"], source["sequences"], source["tokens"]) == ("topics", last["sequences"], last["tokens"])
    (complete,) = (line for line in lines(storage / "ledger.jsonl") if line["event"] == "complete")
    assert complete["sources"] == [source]


def test_the_newest_checkpoint_is_the_exported_model(storage: Path, tmp_path: Path) -> None:
    for name in ("checkpoints", "data"):
        (tmp_path / name).symlink_to(storage / name)
    tokens = torch.arange(30)[None]
    saved = load_model(tmp_path, storage / "job.json")
    assert saved.source.name == "step-000000025"
    torch.testing.assert_close(saved.logits(tokens), load_model(storage).logits(tokens))
