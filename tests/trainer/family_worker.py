"""Run by test_family_engines.py on several ranks: trains every family under DeepSpeed on samples of its objective.

`python family_worker.py TARGET` writes losses.json: by case the losses of the first steps, of those after a state is
saved, and of the same after it is loaded into a new engine.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parent / "objectives"))
from objective_samples import SIZE, builder, text

from pretrain_api.objectives import kind_of_family
from pretrain_api.spec.model import Model
from pretrain_api.spec.objective import Objective
from pretrain_api.spec.training import Training
from pretrain_trainer.checkpoint.layout import state_file
from pretrain_trainer.checkpoint.snapshot import HostBuffers, SavedState, load_state, take_snapshot
from pretrain_trainer.engine.process_group import ProcessGroup
from pretrain_trainer.engine.training_engine import TrainingEngine, as_tensors
from pretrain_trainer.environment import RankEnvironment
from pretrain_trainer.models.families import build_model, initialize

LENGTH, SEQUENCES = 32, 4
MIXED = [{"type": "prefix-lm"}, {"type": "span-corruption"}, {"type": "causal-lm"}]
EXPERTS = {"moeIntermediateSize": 8, "numLocalExperts": 8, "numExpertsPerTok": 2, "firstKDenseReplace": 1}
LATENT = {"kvLoraRank": 8, "qLoraRank": 8, "qkNopeHeadDim": 4, "qkRopeHeadDim": 4, "vHeadDim": 4}
NETWORKS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "llama": ({"family": "llama"}, {"type": "mixture", "mixture": MIXED}),
    "gpt2": ({"family": "gpt2"}, {"type": "fill-in-the-middle", "documentMasking": True, "futureTokens": 1}),
    "bert": ({"family": "bert"}, {"type": "masked-lm", "sentencePairs": "sop"}),
    "t5": ({"family": "t5"}, {"type": "mixture-of-denoisers", "zLoss": 1e-3}),
    "mixtral": ({"family": "mixtral", "numLocalExperts": 4}, {"type": "causal-lm"}),
    "bloom": ({"family": "bloom"}, {"type": "causal-lm"}),
    "deepseek-moe": ({"family": "deepseek-moe", **EXPERTS}, {"type": "prefix-lm", "futureTokens": 1}),
    "deepseek-v2": ({"family": "deepseek-v2", **EXPERTS, **LATENT}, {"type": "causal-lm", "documentMasking": True}),
    "deepseek-v3": ({"family": "deepseek-v3", **EXPERTS, **LATENT}, {"type": "causal-lm"}),
    "baichuan": ({"family": "baichuan"}, {"type": "fill-in-the-middle", "documentMasking": True}),
    "glm": ({"family": "glm"}, {"type": "mixture", "mixture": [{"type": "prefix-lm"}, {"type": "span-corruption"}]}),
    "baichuan-alibi": ({"family": "baichuan", "alibi": True}, {"type": "prefix-lm"}),
    "gpt-neox": ({"family": "gpt-neox"}, {"type": "causal-lm", "documentMasking": True}),
    "opt": ({"family": "opt"}, {"type": "causal-lm", "documentMasking": True}),
    "falcon": ({"family": "falcon", "numKeyValueHeads": 1}, {"type": "mixture", "mixture": MIXED}),
}
SIZES = {"hiddenSize": 16, "intermediateSize": 32, "numHiddenLayers": 2, "numAttentionHeads": 2}
ENGINES = [(0, "fp32", "none"), (1, "fp32", "selective"), (3, "fp32", "full"), (2, "bf16", "none")]
"""ZeRO stage, precision, recomputation."""


def build(name: str, stage: int, precision: str, recompute: str, group: ProcessGroup) -> TrainingEngine:
    model, objective = NETWORKS[name]
    training = Training.model_validate(
        {
            "tokens": 1000,
            "sequenceLength": LENGTH,
            "microBatchSize": SEQUENCES // group.world_size,
            "batch": {"stages": [{"tokens": SEQUENCES * LENGTH, "from": 0}]},
            "learningRate": {"peak": 1e-2},
            "precision": precision,
            "parallelism": {"zero": stage},
        }
    )
    spec = Model.model_validate(model | SIZES)
    network = build_model(spec, SIZE, LENGTH, recompute, objective=Objective.model_validate(objective))
    initialize(network, seed=1)
    engine = TrainingEngine(network, training, 1, group)
    engine.set_guard(lambda: 1.0)
    return engine


def train(engine: TrainingEngine, name: str, steps: int) -> list[float]:
    """Do steps on the same few samples; return the losses of all ranks."""
    model, objective = NETWORKS[name]
    made = builder(kind_of_family(model["family"]), LENGTH, **objective)
    first, size = engine.group.rank * engine.training.micro_batch_size, engine.training.micro_batch_size
    rows = text(SEQUENCES, made.shape.window, document=12)[first : first + size]
    batch = as_tensors(made.build(np.arange(first, first + size), np.ascontiguousarray(rows)), engine.group.device)
    losses = []
    for _ in range(steps):
        engine.set_learning_rate(1e-2)
        loss = engine.backward(batch, last=True)
        engine.step()
        losses.append(engine.group.sum([float(loss)])[0] / engine.group.world_size)
    return losses


def main() -> None:
    target = Path(sys.argv[1])
    group = ProcessGroup(RankEnvironment.read(), 60)
    torch.manual_seed(0)
    losses = {}
    for name in NETWORKS:
        for stage, precision, recompute in ENGINES:
            case = f"{name}-{stage}-{precision}"
            (target / case).mkdir(exist_ok=True)
            engine = build(name, stage, precision, recompute, group)
            first = train(engine, name, 4)
            take_snapshot(engine, HostBuffers()).save(target / case / state_file(group.rank, group.world_size))
            after = train(engine, name, 2)
            group.sum([0.0])  # all parts are written
            again = build(name, stage, precision, recompute, group)
            load_state(again, SavedState([target / case / state_file(r, group.world_size) for r in range(2)]))
            losses[case] = {"first": first, "after": after, "loaded": train(again, name, 2)}
    if group.rank == 0:
        (target / "losses.json").write_text(json.dumps(losses))
    group.close()


if __name__ == "__main__":
    main()
