"""int8 weights are off by half a step at most, and load."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from pretrain_trainer.errors import InvalidData
from pretrain_trainer.inference.int8 import GREATEST, dequantized, export_int8, quantize
from pretrain_trainer.inference.loading import load_model, read_weights


@pytest.mark.parametrize("dimension", [-2, -1])
@pytest.mark.parametrize("shape", [(7, 5), (3, 7, 5)])
def test_no_weight_is_off_by_more_than_half_a_step(shape: tuple[int, ...], dimension: int) -> None:
    weight = torch.randn(shape, generator=torch.Generator().manual_seed(0)) * torch.tensor([0.01, 1, 30, 1, 1])
    values, scale = quantize(weight, dimension)
    assert values.dtype == torch.int8
    assert values.abs().max() == GREATEST
    error = (values.float() * scale - weight).abs()
    assert (error <= scale / 2 * 1.0001).all()
    over = -1 if dimension == -2 else -2
    torch.testing.assert_close(scale.squeeze(over), weight.abs().amax(over) / GREATEST)


def test_a_channel_of_zeros_stays_one() -> None:
    values, scale = quantize(torch.zeros(2, 3))
    assert not values.any()
    assert not (values * scale).any()


def test_the_export_is_smaller_and_its_logits_are_close(exported: Path, tmp_path: Path) -> None:
    target = tmp_path / "int8"
    sizes = export_int8(exported, target)
    stored = load_file(target / "int8.safetensors")
    assert stored["model.layers.0.mlp.up_proj.weight.int8"].dtype == torch.int8
    assert stored["model.layers.0.mlp.up_proj.weight.scale"].shape == (96, 1)
    assert stored["lm_head.weight"].dtype == stored["model.norm.weight"].dtype == torch.float32
    original, restored = read_weights(exported), read_weights(target)
    assert original.keys() == restored.keys()
    assert sizes["bytesAfter"] < 0.7 * sizes["bytesBefore"]  # half of this network is embeddings
    tokens = torch.randint(0, 600, (4, 48), generator=torch.Generator().manual_seed(0))
    exact, close = load_model(exported).logits(tokens).cpu(), load_model(target).logits(tokens).cpu()
    assert float((close - exact).norm() / exact.norm()) < 0.05
    assert float((close.argmax(-1) == exact.argmax(-1)).float().mean()) > 0.9


def test_transformers_finds_no_weights_of_its_own_and_takes_the_restored_weights(
    exported: Path, tmp_path: Path
) -> None:
    from transformers import AutoConfig, AutoModelForCausalLM

    target = tmp_path / "int8"
    export_int8(exported, target)
    with pytest.raises(OSError, match="no file named"):
        AutoModelForCausalLM.from_pretrained(target)
    model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(exported)).eval()
    model.load_state_dict(read_weights(target))
    tokens = torch.arange(20)[None]
    with torch.no_grad():
        torch.testing.assert_close(model(tokens).logits, load_model(target).logits(tokens).cpu(), atol=1e-4, rtol=0)


def test_what_is_int8_already_or_no_model_is_refused(exported: Path, tmp_path: Path) -> None:
    target = tmp_path / "int8"
    export_int8(exported, target)
    with pytest.raises(InvalidData, match="quantised already"):
        export_int8(target, tmp_path / "again")
    with pytest.raises(InvalidData, match="is there already"):
        export_int8(exported, target)
    with pytest.raises(InvalidData, match=r"config\.json"):
        export_int8(tmp_path, tmp_path / "other")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["int8"]


def test_scales_multiply_back() -> None:
    stored = {"a.int8": torch.tensor([[2, -4]], dtype=torch.int8), "a.scale": torch.tensor([[0.5]])}
    assert dequantized(stored, torch.float32)["a"].tolist() == [[1.0, -2.0]]


def test_the_configuration_says_how_it_is_stored(exported: Path, tmp_path: Path) -> None:
    export_int8(exported, tmp_path / "int8")
    config = json.loads((tmp_path / "int8/config.json").read_text())
    assert config["quantization_config"]["quant_method"] == "pretrain-int8"
    assert (tmp_path / "int8/tokenizer.model").exists()
