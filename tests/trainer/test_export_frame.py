from __future__ import annotations

from pathlib import Path

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from pretrain_api.objectives import ModelKind
from pretrain_api.wire import Blend, SpecialTokens
from pretrain_trainer.export_frame import frame_texts

VOCABULARY = {"<pad>": 0, "</s>": 1, "[CLS]": 2, "[SEP]": 3, "one": 4, "two": 5}


def framed(tmp_path: Path, kind: ModelKind, reserved: dict[str, int]) -> Tokenizer:
    plain = Tokenizer(models.WordLevel(VOCABULARY, unk_token="<pad>"))
    plain.pre_tokenizer = pre_tokenizers.Whitespace()
    path = tmp_path / "tokenizer.json"
    plain.save(str(path))
    blend = Blend(
        fingerprint="",
        dtype="uint16",
        vocab_size=6,
        tokenizer="",
        special_tokens=SpecialTokens(pad=0, eos=1),
        reserved_tokens=reserved,
        sources=[],
        phases=[],
    )
    for _ in range(2):  # once more changes nothing
        frame_texts(path, kind, blend)
    return Tokenizer.from_file(str(path))


@pytest.mark.parametrize(
    ("kind", "single", "pair", "types"),
    [
        ("encoder", [2, 4, 3], [2, 4, 3, 5, 3], [0, 0, 0, 1, 1]),
        ("encoder-decoder", [4, 1], [4, 1, 5, 1], [0, 0, 0, 0]),
        ("decoder", [4], [4, 5], [0, 1]),
    ],
)
def test_texts_are_framed_as_in_training(
    tmp_path: Path, kind: ModelKind, single: list[int], pair: list[int], types: list[int]
) -> None:
    tokenizer = framed(tmp_path, kind, {"[CLS]": 2, "[SEP]": 3})
    assert tokenizer.encode("one").ids == single
    both = tokenizer.encode("one", "two")
    assert both.ids == pair
    assert both.type_ids == types


def test_without_its_tokens_there_is_no_frame(tmp_path: Path) -> None:
    assert framed(tmp_path, "encoder", {}).encode("one").ids == [4]
