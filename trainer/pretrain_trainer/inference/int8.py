"""Weights in int8: a smaller export of a finished model.

Weight-only: each row w of a matrix inside the network (an output channel) becomes round(w / s) with s = max|w| / 127,
so that no weight is off by more than s / 2. Embeddings, the output projection, norms and biases stay as they are. The
tensor NAME becomes NAME.int8 (int8, of the same shape) and NAME.scale (FP32, 1 in the last dimension), in
int8.safetensors, so that nothing takes it for plain weights. `loading.read_weights` reads it.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from pretrain_trainer.errors import InvalidData
from pretrain_trainer.files import remove_tree, sync_directory, sync_file

VALUES, SCALE = ".int8", ".scale"
GREATEST = 127
METHOD = "pretrain-int8"
"""In config.json, as quantization_config.quant_method."""
OUTSIDE = (
    "embed",
    "lm_head",
    "wte",
    "wpe",
    "shared",
    "relative_attention_bias",
    "cls.predictions",
)
"""In names of matrices that stay as they are: they are looked up in, or give the logits."""
INPUTS_FIRST = {"gpt2": ("c_attn.weight", "c_proj.weight", "c_fc.weight")}
"""By model_type: matrices [inputs, outputs], whose channels are columns."""


def quantize(weight: Tensor, channel_dimension: int = -2) -> tuple[Tensor, Tensor]:
    """Return int8 values and FP32 scales of a matrix, or a stack of matrices: weight ≈ values * scales.

    Args:
        weight: [..., outputs, inputs].
        channel_dimension: Of the outputs, which have a scale each: -2, or -1 for [..., inputs, outputs].
    """
    over = -1 if channel_dimension == -2 else -2
    scale = weight.float().abs().amax(over, keepdim=True) / GREATEST
    safe = torch.where(scale == 0, 1.0, scale)
    return (weight.float() / safe).round().to(torch.int8), scale


def dequantized(stored: Mapping[str, Tensor], dtype: torch.dtype) -> dict[str, Tensor]:
    """Return tensors by name with int8 ones as numbers of `dtype` again, and other floating-point ones in it."""
    weights = {}
    for name, tensor in stored.items():
        if name.endswith(VALUES):
            base = name.removesuffix(VALUES)
            weights[base] = (tensor.float() * stored[base + SCALE]).to(dtype)
        elif not name.endswith(SCALE):
            weights[name] = tensor.to(dtype) if tensor.is_floating_point() else tensor
    return weights


def is_quantized(name: str, tensor: Tensor) -> bool:
    """Return whether a tensor becomes int8."""
    return tensor.ndim >= 2 and tensor.is_floating_point() and not any(part in name for part in OUTSIDE)


def export_int8(source: Path, target: Path) -> dict[str, int]:
    """Write an exported model once more with int8 weights, whole or not at all; return sizes in bytes.

    Raises:
        InvalidData: `source` is no exported model, or is one in int8 already; or `target` is there.
    """
    config = _configuration(source)
    if target.exists():
        raise InvalidData(f"{target}: is there already; name another directory, or remove it")
    temporary = target.with_name(f".{target.name}.tmp")
    remove_tree(temporary)
    temporary.mkdir(parents=True)
    for path in sorted(source.iterdir()):
        if path.suffix == ".safetensors":
            _convert(path, temporary / path.name.replace("model", "int8", 1), str(config.get("model_type")))
        elif path.is_file() and path.name not in ("config.json", "model.safetensors.index.json"):
            shutil.copyfile(path, temporary / path.name)
    config["quantization_config"] = {"quant_method": METHOD, "bits": 8, "symmetric": True, "granularity": "channel"}
    (temporary / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    for path in temporary.iterdir():
        sync_file(path)
    temporary.rename(target)
    sync_directory(target.parent)
    return {"bytesBefore": _weight_bytes(source), "bytesAfter": _weight_bytes(target)}


def _configuration(source: Path) -> dict[str, Any]:
    try:
        config: dict[str, Any] = json.loads((source / "config.json").read_bytes())
    except (OSError, ValueError) as error:
        raise InvalidData(f"{source / 'config.json'}: {error}; name a directory with an exported model") from None
    if "quantization_config" in config:
        raise InvalidData(f"{source}: its weights are quantised already; name the export they were made from")
    return config


def _convert(source: Path, target: Path, model_type: str) -> None:
    """Write a file of weights."""
    tensors: dict[str, Tensor] = {}
    columns = INPUTS_FIRST.get(model_type, ())
    with safe_open(source, framework="pt") as file:
        for name in file.keys():  # noqa: SIM118
            tensor = file.get_tensor(name)
            if not is_quantized(name, tensor):
                tensors[name] = tensor
                continue
            dimension = -1 if name.endswith(columns) and columns else -2
            tensors[name + VALUES], tensors[name + SCALE] = quantize(tensor, dimension)
    save_file(tensors, target, {"format": "pt", "quantization": METHOD})


def _weight_bytes(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.glob("*.safetensors"))
