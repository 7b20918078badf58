"""Models from disk: an exported directory, with int8 weights too, or a checkpoint of a run."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from pretrain_api.objectives import ModelKind
from pretrain_api.resolve import load_resolved
from pretrain_api.wire import StorageLayout
from pretrain_trainer.checkpoint.layout import state_file
from pretrain_trainer.checkpoint.store import CheckpointStore
from pretrain_trainer.data.dataset import read_blend
from pretrain_trainer.errors import InvalidData
from pretrain_trainer.inference.int8 import dequantized
from pretrain_trainer.inference.text import load_tokenizer
from pretrain_trainer.models.families import FAMILIES, build_model
from pretrain_trainer.models.network import Network, NetworkConfig, TrainingOptions
from pretrain_trainer.tokenizer import TextTokenizer

NETWORK_KEY = "pretrain_network"
"""In config.json: our own description of the network, which transformers leaves alone."""


@dataclass(frozen=True)
class LoadedModel:
    """A network that is ready to be asked, and its tokenizer."""

    network: Network
    tokenizer: TextTokenizer
    kind: ModelKind
    max_length: int
    """Tokens a sequence."""
    bos: int | None
    eos: int | None
    pad: int | None
    device: torch.device
    source: Path
    """What was loaded."""

    @torch.no_grad()
    def logits(self, tokens: Tensor) -> Tensor:
        """Return the logits [batch, length, vocabulary] of token ids int64[batch, length] of a decoder."""
        logits: Tensor = self.network(tokens.to(self.device))
        return logits

    @torch.no_grad()
    def next_logits(self, prompt: list[int], written: list[int]) -> Tensor:
        """Return the logits [vocabulary] of the token after what was written; FP32, on the CPU.

        A decoder sees the newest tokens of prompt and text; a decoder behind an encoder only what it wrote itself.
        """
        longest = self.max_length
        if self.kind == "decoder":
            logits = self.network(torch.tensor([[*prompt, *written][-longest:]], device=self.device))
        else:
            begin = self.eos if self.pad is None else self.pad
            decoder = torch.tensor([[begin, *written][-longest:]], device=self.device)
            inputs = torch.tensor([prompt[-longest:]], device=self.device)
            logits = self.network(inputs, decoder_input_ids=decoder)
        last: Tensor = logits[0, -1].float().cpu()
        return last


def load_model(path: Path, config: Path | None = None) -> LoadedModel:
    """Return the model of an exported directory, or of a run: its exported one, or its newest checkpoint.

    Args:
        path: A directory with config.json, or the storage of a run.
        config: The resolved job of a run, to read its checkpoints.

    Raises:
        InvalidData: There is no model that can be read.
    """
    layout = StorageLayout(path)
    for directory in (path, layout.model):
        if (directory / "config.json").is_file():
            return _from_export(directory)
    if config is not None and layout.checkpoints.is_dir():
        return _from_checkpoint(layout, config)
    raise InvalidData(f"{path}: no model: there is neither config.json nor model/config.json; name a run or an export")


def _from_export(directory: Path) -> LoadedModel:
    try:
        config: dict[str, Any] = json.loads((directory / "config.json").read_bytes())
    except ValueError as error:
        raise InvalidData(f"{directory / 'config.json'}: {error}; export the model again") from None
    with torch.device("meta"):
        network = _network(config, directory)
    weights = network.imported(read_weights(directory))
    unknown = sorted(set(weights) - set(network.state_dict()))
    if unknown:
        raise InvalidData(f"{directory}: the weights have {unknown[0]}, which the network hasn't; export it again")
    network.load_state_dict(weights, strict=False, assign=True)
    network.tie_weights()
    missing = sorted(name for name, parameter in network.named_parameters() if parameter.is_meta)
    if missing:
        raise InvalidData(f"{directory}: the weights lack {missing[0]}; export the model again")
    special = {name: config.get(f"{name}_token_id") for name in ("bos", "eos", "pad")}
    return _loaded(network, load_tokenizer(directory), special, directory)


def _network(config: dict[str, Any], directory: Path) -> Network:
    fields = config.get(NETWORK_KEY) or _llama_fields(config)
    family = fields.get("family")
    if family not in FAMILIES:
        raise InvalidData(
            f"{directory / 'config.json'}: model_type {config.get('model_type')!r} isn't known here; "
            "load what `pretrain` exported, or use transformers"
        )
    known = {name: value for name, value in fields.items() if name in NetworkConfig.__dataclass_fields__}
    return FAMILIES[family](NetworkConfig(**known), TrainingOptions())


def _llama_fields(config: dict[str, Any]) -> dict[str, Any]:
    """Return the network of a configuration that another program wrote; nothing where it isn't LLaMA's."""
    if config.get("model_type") != "llama":
        return {}
    hidden, heads = config["hidden_size"], config["num_attention_heads"]
    theta = config.get("rope_theta") or config.get("rope_parameters", {}).get("rope_theta") or 10_000.0
    sizes = {"num_key_value_heads": heads, "head_dim": hidden // heads}
    given = {name: config.get(name) or value for name, value in sizes.items()}
    return {**config, **given, "rope_theta": theta, "family": "llama"}


def read_weights(directory: Path, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    """Return all weights of an exported directory by name, int8 ones as numbers again.

    Raises:
        InvalidData: There are none, or a file is damaged.
    """
    files = sorted(directory.glob("*.safetensors"))
    if not files:
        raise InvalidData(f"{directory}: no *.safetensors; export the model again")
    stored: dict[str, Tensor] = {}
    for path in files:
        try:
            with safe_open(path, framework="pt") as file:
                stored.update({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118
        except Exception as error:  # its own type, which the library doesn't name
            raise InvalidData(f"{path}: {error}; export the model again") from None
    return dequantized(stored, dtype)


def _from_checkpoint(layout: StorageLayout, config: Path) -> LoadedModel:
    # Imported late: it brings DeepSpeed with it, which takes seconds.
    from pretrain_trainer.checkpoint.snapshot import WEIGHT, SavedState

    store = CheckpointStore(layout.checkpoints)
    stored = store.surviving(store.read_recovery())
    spec = load_resolved(config).spec
    if not stored or spec.model is None or spec.training is None:
        raise InvalidData(f"{layout.checkpoints}: no checkpoint yet; wait for the first one")
    checkpoint, blend = stored[0], read_blend(layout)
    size = checkpoint.manifest.world_size
    state = SavedState([checkpoint.directory / state_file(rank, size) for rank in range(size)])
    network = build_model(spec.model, blend.vocab_size, spec.training.sequence_length)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            parameter.copy_(state.read(WEIGHT, name, 0, parameter.numel()).view(parameter.shape))
    special = blend.special_tokens.model_dump()
    return _loaded(network, load_tokenizer(layout.root / blend.tokenizer), special, checkpoint.directory)


def _loaded(network: Network, tokenizer: TextTokenizer, special: dict[str, Any], source: Path) -> LoadedModel:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network = network.to(device, torch.bfloat16 if device.type == "cuda" else torch.float32).eval()
    return LoadedModel(
        network=network,
        tokenizer=tokenizer,
        kind=network.kind,
        max_length=network.config.max_position_embeddings,
        bos=special.get("bos"),
        eos=special.get("eos"),
        pad=special.get("pad"),
        device=device,
        source=source,
    )
