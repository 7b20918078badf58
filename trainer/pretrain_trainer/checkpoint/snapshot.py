"""A rank's part of a checkpoint in memory: taken from the engine, written to a file, read back at any world size."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from pretrain_trainer.engine.fragments import Fragment, master_state, publish_masters
from pretrain_trainer.engine.training_engine import TrainingEngine
from pretrain_trainer.models.families import initial_value, parameter_shape
from pretrain_trainer.models.network import Network

WEIGHT = "weight"
RNG_CPU = "rng.cpu"
RNG_DEVICE = "rng.device"


@dataclass(frozen=True)
class Snapshot:
    """Tensors on the host, and what they are pieces of.

    Attributes:
        tensors: "<quantity>.<master>": FP32, flat; the quantities are "weight" and the optimiser's moments. Beside them
            the states of the random generators, uint8.
        fragments: What the masters are pieces of.
        scalars: By master: the optimiser's numbers, such as its step count.
        shapes: By tensor: its shape, where it isn't as large as its master but belongs to a whole parameter.
    """

    tensors: dict[str, Tensor]
    fragments: list[Fragment]
    scalars: dict[int, dict[str, float]]
    shapes: dict[str, list[int]]

    def save(self, path: Path) -> None:
        """Write a safetensors file with the index in its metadata."""
        metadata = {
            "fragments": json.dumps([list(asdict(fragment).values()) for fragment in self.fragments]),
            "scalars": json.dumps(self.scalars),
            "shapes": json.dumps(self.shapes),
        }
        save_file(self.tensors, path, metadata)


class HostBuffers:
    """Host memory that snapshots are copied to, kept from one to the next; pinned where there is a GPU."""

    def __init__(self) -> None:
        self._buffers: dict[str, Tensor] = {}

    def copy(self, name: str, source: Tensor) -> Tensor:
        """Copy a tensor to the buffer `name`; on a GPU the copy is under way when this returns."""
        flat = source.detach().reshape(-1)
        buffer = self._buffers.get(name)
        if buffer is None or buffer.numel() != flat.numel():
            buffer = torch.empty(flat.shape, dtype=flat.dtype, pin_memory=flat.is_cuda)
            self._buffers[name] = buffer
        return buffer.copy_(flat, non_blocking=True)


def take_snapshot(engine: TrainingEngine, buffers: HostBuffers) -> Snapshot:
    """Copy this rank's part of the state to host memory."""
    state = master_state(engine.deepspeed, engine.group.rank, engine.group.world_size)
    used = {fragment.master for fragment in state.fragments}
    tensors: dict[str, Tensor] = {}
    scalars: dict[int, dict[str, float]] = {}
    shapes: dict[str, list[int]] = {}
    for index in sorted(used):
        master = state.masters[index]
        tensors[f"{WEIGHT}.{index}"] = buffers.copy(f"{WEIGHT}.{index}", master)
        for key, value in engine.optimizer.state.get(master, {}).items():
            if torch.is_tensor(value) and value.shape == master.shape:
                tensors[f"{key}.{index}"] = buffers.copy(f"{key}.{index}", value)
            elif torch.is_tensor(value) and value.ndim > 0:
                tensors[f"{key}.{index}"] = buffers.copy(f"{key}.{index}", value)
                shapes[f"{key}.{index}"] = list(value.shape)
            elif value is not None:
                scalars.setdefault(index, {})[key] = float(value)
    tensors[RNG_CPU] = torch.get_rng_state()
    if torch.cuda.is_available():
        tensors[RNG_DEVICE] = torch.cuda.get_rng_state()
        torch.cuda.synchronize()
    return Snapshot(tensors, state.fragments, scalars, shapes)


class StateSource(Protocol):
    """Something to load an engine from."""

    def quantities(self, name: str | None = None) -> list[str]:
        """Return what there is beside the weights, of a parameter or of any: the names of the optimiser's moments; none
        before the first step."""
        ...

    def whole(self, name: str) -> dict[str, Tensor]:
        """Return the optimiser's tensors of the parameter `name` that have shapes of their own, on the CPU."""
        ...

    def scalars(self) -> dict[str, float]:
        """Return the optimiser's numbers."""
        ...

    def read(self, quantity: str, name: str, start: int, length: int) -> Tensor:
        """Return `length` elements of a quantity of the parameter `name` from `start` on: FP32, flat, on the CPU."""
        ...


class SavedState:
    """The state files of a checkpoint, of however many ranks."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._files: list[Any] = [safe_open(path, framework="pt") for path in paths]
        self._pieces: dict[str, list[tuple[Any, Fragment]]] = defaultdict(list)
        self._scalars: dict[str, float] = {}
        self._quantities: dict[str, set[str]] = defaultdict(set)
        self._whole: dict[str, dict[str, Tensor]] = defaultdict(dict)
        for file in self._files:
            metadata = file.metadata()
            shapes = json.loads(metadata.get("shapes", "{}"))
            flat, whole = _by_master(file, shapes)
            for values in json.loads(metadata["fragments"]):
                fragment = Fragment(*values)
                self._pieces[fragment.name].append((file, fragment))
                self._quantities[fragment.name] |= flat[fragment.master]
                for quantity in whole[fragment.master]:
                    key = f"{quantity}.{fragment.master}"
                    self._whole[fragment.name][quantity] = file.get_tensor(key).view(shapes[key])
            for numbers in json.loads(metadata["scalars"]).values():
                self._scalars.update(numbers)

    def quantities(self, name: str | None = None) -> list[str]:
        """Return the names of the optimiser's moments, of a parameter or of any."""
        found = set().union(*self._quantities.values()) if name is None else self._quantities[name]
        return sorted(found - {WEIGHT})

    def whole(self, name: str) -> dict[str, Tensor]:
        """Return the optimiser's tensors of the parameter `name` that have shapes of their own."""
        return self._whole.get(name, {})

    def scalars(self) -> dict[str, float]:
        """Return the optimiser's numbers; they are the same for all parameters."""
        return self._scalars

    def parameter_names(self) -> Iterator[str]:
        """Yield the names of all parameters."""
        yield from self._pieces

    def size(self, name: str) -> int:
        """Return the number of elements of a parameter."""
        return sum(fragment.length for _, fragment in self._pieces[name])

    def read(self, quantity: str, name: str, start: int, length: int) -> Tensor:
        """Return a stretch of a parameter's quantity, put together from the pieces that hold it.

        Raises:
            KeyError: The checkpoint doesn't hold all of it.
        """
        result = torch.empty(length)
        missing = length
        for file, piece in self._pieces[name]:
            low, high = max(start, piece.start), min(start + length, piece.start + piece.length)
            if low < high:
                offset = piece.master_start + low - piece.start
                stretch = file.get_slice(f"{quantity}.{piece.master}")[offset : offset + high - low]
                result[low - start : high - start] = stretch
                missing -= high - low
        if missing:
            raise KeyError(f"{quantity} of {name}: {missing} of {length} elements from {start} on are in no file")
        return result

    def random_state(self, rank: int) -> dict[str, Tensor]:
        """Return the random generators' states of a rank."""
        file = self._files[rank]
        return {key: file.get_tensor(key) for key in (RNG_CPU, RNG_DEVICE) if key in file.keys()}  # noqa: SIM118


def _by_master(file: Any, shapes: dict[str, list[int]]) -> tuple[dict[int, set[str]], dict[int, set[str]]]:
    """Return the names of the quantities in a file by master: flat ones, and those with shapes of their own."""
    flat: dict[int, set[str]] = defaultdict(set)
    whole: dict[int, set[str]] = defaultdict(set)
    for key in file.keys():  # noqa: SIM118
        if not key.startswith("rng."):
            quantity, _, master = key.rpartition(".")
            (whole if key in shapes else flat)[int(master)].add(quantity)
    return flat, whole


class InitialState:
    """The state in which training begins: a source that needs no files."""

    def __init__(self, model: Network, seed: int) -> None:
        self._model, self._seed = model, seed
        self._shapes = {name: parameter_shape(parameter) for name, parameter in model.named_parameters()}

    def quantities(self, name: str | None = None) -> list[str]:
        """Return no moments: there was no step yet."""
        return []

    def whole(self, name: str) -> dict[str, Tensor]:
        """Return nothing: there was no step yet."""
        return {}

    def scalars(self) -> dict[str, float]:
        """Return no numbers."""
        return {}

    def read(self, quantity: str, name: str, start: int, length: int) -> Tensor:
        """Return a stretch of the initial weights."""
        if quantity != WEIGHT:
            raise KeyError(quantity)
        return initial_value(self._model, name, self._shapes[name], self._seed).reshape(-1)[start : start + length]


@torch.no_grad()
def load_state(engine: TrainingEngine, source: StateSource) -> None:
    """Bring weights and moments to the state of `source`; a collective."""
    state = master_state(engine.deepspeed, engine.group.rank)
    engine.optimizer.state.clear()
    for index, master in enumerate(state.masters):
        names = [piece.name for piece in state.fragments if piece.master == index]
        moments = _empty_moments(source, names or [piece.name for piece in state.fragments], master)
        if moments:
            engine.optimizer.state[master] = moments
    for piece in state.fragments:
        master = state.masters[piece.master]
        for quantity in [WEIGHT, *source.quantities(piece.name)]:
            target = master.detach() if quantity == WEIGHT else engine.optimizer.state[master][quantity]
            stretch = target.view(-1)[piece.master_start : piece.master_start + piece.length]
            stretch.copy_(source.read(quantity, piece.name, piece.start, piece.length))
    publish_masters(engine.deepspeed)


def _empty_moments(source: StateSource, names: Sequence[str], master: Tensor) -> dict[str, Any]:
    """Return the optimiser's state of a master that holds pieces of `names`: moments of zeros, all else as it was."""
    flat = {quantity for name in names for quantity in source.quantities(name)}
    whole = {quantity: value.to(master.device) for name in names for quantity, value in source.whole(name).items()}
    if not flat and not whole:
        return {}
    numbers = {key: torch.tensor(value, device=master.device) for key, value in source.scalars().items()}
    return {**numbers, **{quantity: torch.zeros_like(master) for quantity in sorted(flat)}, **whole}
