"""The finished model as Hugging Face's libraries read it: safetensors, config.json, tokenizer."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from pretrain_api.wire import Blend, SpecialTokens
from pretrain_trainer.checkpoint.snapshot import WEIGHT, SavedState
from pretrain_trainer.export_frame import frame_texts
from pretrain_trainer.export_tokenizer import export_tokenizer
from pretrain_trainer.files import remove_tree, sync_directory, sync_file
from pretrain_trainer.inference.loading import NETWORK_KEY
from pretrain_trainer.models.families import parameter_shape
from pretrain_trainer.models.network import Network

MAX_FILE_BYTES = 5_000_000_000
"""Size of a weight file, as the Hub has it."""


def export_model(
    model: Network,
    state: SavedState,
    blend: Blend,
    tokenizer: Path,
    target: Path,
    dtype: torch.dtype,
    beat: Callable[[], None],
) -> None:
    """Write the directory `target`, whole or not at all.

    Args:
        model: For names, shapes and configuration; its weights aren't read, and may be divided.
        state: The checkpoint to take the weights from.
        blend: For the special tokens.
        tokenizer: Directory with tokenizer.model.
        target: Directory to write; replaced if it is there.
        dtype: Type of the weights.
        beat: Called after each parameter.
    """
    temporary = target.with_name(f".{target.name}.tmp")
    remove_tree(temporary)
    temporary.mkdir(parents=True)
    _write_weights(model, state, temporary, dtype, beat)
    _write_json(temporary / "config.json", export_config(model, blend.special_tokens, dtype))
    export_tokenizer(tokenizer, temporary, blend.special_tokens, model.config.max_position_embeddings)
    if (temporary / "tokenizer.json").exists():
        frame_texts(temporary / "tokenizer.json", model.kind, blend)
    for path in temporary.iterdir():
        sync_file(path)
    remove_tree(target)
    temporary.rename(target)
    sync_directory(target.parent)


def export_config(model: Network, special: SpecialTokens, dtype: torch.dtype) -> dict[str, Any]:
    """Return the content of config.json."""
    tokens = {f"{name}_token_id": value for name, value in special.model_dump().items() if name != "unk"}
    if model.kind == "encoder-decoder":
        tokens["decoder_start_token_id"] = special.eos if special.pad is None else special.pad
    config = model.hugging_face_config() | tokens | {"torch_dtype": str(dtype).removeprefix("torch.")}
    return config | {NETWORK_KEY: asdict(model.config)}


def _write_weights(
    model: Network, state: SavedState, directory: Path, dtype: torch.dtype, beat: Callable[[], None]
) -> None:
    parameters = [(name, parameter) for name, parameter in model.named_parameters() if model.exports(name)]
    shapes = {name: parameter_shape(parameter) for name, parameter in parameters}
    size = torch.empty((), dtype=dtype).element_size()
    files = _divide({name: shape.numel() * size for name, shape in shapes.items()}, MAX_FILE_BYTES)
    index: dict[str, str] = {}
    total = 0
    for number, names in enumerate(files, 1):
        file_name = "model.safetensors" if len(files) == 1 else f"model-{number:05d}-of-{len(files):05d}.safetensors"
        tensors: dict[str, Tensor] = {}
        for name in names:
            shape = shapes[name]
            weight = state.read(WEIGHT, name, 0, shape.numel()).view(shape)
            tensors |= {key: value.to(dtype) for key, value in model.exported(name, weight).items()}
            beat()
        index |= dict.fromkeys(tensors, file_name)
        total += sum(tensor.nbytes for tensor in tensors.values())
        save_file(tensors, directory / file_name, {"format": "pt"})
    if len(files) > 1:
        description = {"metadata": {"total_size": total}, "weight_map": index}
        _write_json(directory / "model.safetensors.index.json", description)


def _divide(sizes: dict[str, int], limit: int) -> list[list[str]]:
    files: list[list[str]] = [[]]
    used = 0
    for name, size in sizes.items():
        if files[-1] and used + size > limit:
            files.append([])
            used = 0
        files[-1].append(name)
        used += size
    return files


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n")
