"""Run by test_state.py on several ranks: trains engines of all kinds, or loads their states, and saves what they hold.

`python engine_worker.py TARGET [SOURCE SOURCE_WORLD_SIZE]`
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import torch

from pretrain_api.spec.model import Model
from pretrain_api.spec.training import Training
from pretrain_trainer.checkpoint.layout import state_file
from pretrain_trainer.checkpoint.snapshot import HostBuffers, InitialState, SavedState, load_state, take_snapshot
from pretrain_trainer.engine.process_group import ProcessGroup
from pretrain_trainer.engine.training_engine import TrainingEngine
from pretrain_trainer.environment import RankEnvironment
from pretrain_trainer.models.families import build_model, initialize

ADAM_KINDS = [
    *((stage, "fp32", "none", "adamw") for stage in range(4)),
    *((stage, "bf16", "none", "adamw") for stage in range(4)),
    (2, "fp32", "cpu", "adamw"),
]
KINDS = [
    *ADAM_KINDS,
    *((stage, "fp32", "none", name) for stage in (0, 2) for name in ("sgd", "normalized-gradient", "lion")),
    (1, "bf16", "none", "lion"),
    (3, "bf16", "none", "sgd"),
    *((0, precision, "none", name) for precision in ("fp32", "bf16") for name in ("adafactor", "muon")),
]
"""ZeRO stage, precision, offload, optimiser."""
MODEL = Model(hidden_size=16, intermediate_size=40, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1)
VOCABULARY = 50
LENGTH = 8


def build(kind: tuple[int, str, str, str], group: ProcessGroup) -> TrainingEngine:
    stage, precision, offload, optimizer = kind
    training = Training.model_validate(
        {
            "tokens": 1000,
            "sequenceLength": LENGTH,
            "microBatchSize": 6 // group.world_size,
            "batch": {"stages": [{"tokens": 6 * LENGTH, "from": 0}]},
            "learningRate": {"peak": 1e-2},
            "precision": precision,
            "optimizer": {"type": optimizer},
            "parallelism": {"zero": stage, "offload": offload},
        }
    )
    model = build_model(MODEL, VOCABULARY, LENGTH)
    initialize(model, seed=1)
    engine = TrainingEngine(model, training, 1, group)
    engine.set_guard(lambda: 1.0)
    return engine


def train(engine: TrainingEngine, steps: int) -> list[float]:
    """Do steps on batches of 6 sequences that don't depend on the number of ranks; return the losses of all ranks."""
    losses = []
    for step in range(steps):
        batch = torch.from_numpy(np.random.default_rng(step).integers(0, VOCABULARY, (6, LENGTH + 1)))
        mine = batch.chunk(engine.group.world_size)[engine.group.rank]
        engine.set_learning_rate(1e-3 if engine.training.optimizer.type == "lion" else 1e-2)
        loss = engine.backward({"input_ids": mine[:, :-1], "labels": mine[:, 1:]}, last=True)
        engine.step()
        losses.append(engine.group.sum([float(loss)])[0] / engine.group.world_size)
    return losses


def main() -> None:
    target = Path(sys.argv[1])
    group = ProcessGroup(RankEnvironment.read(), 60)
    for kind in KINDS:
        name = "-".join(map(str, kind))
        directory = target / name
        directory.mkdir(parents=True, exist_ok=True)
        engine = build(kind, group)
        if len(sys.argv) > 2:
            world_size = int(sys.argv[3])
            paths = [Path(sys.argv[2]) / name / state_file(rank, world_size) for rank in range(world_size)]
            load_state(engine, SavedState(paths))
        else:
            train(engine, 3)
        take_snapshot(engine, HostBuffers()).save(directory / state_file(group.rank, group.world_size))
        after = train(engine, 2)
        load_state(engine, InitialState(engine.module, seed=1))
        again = train(engine, 3)
        norm = engine.gradient_norm()
        if group.rank == 0:
            (directory / "losses.json").write_text(json.dumps({"after": after, "again": again, "norm": norm}))
    group.close()


if __name__ == "__main__":
    main()
