"""Run by test_states_of_the_trainer.py on several ranks: writes what a rank holds in the middle of a step.

One JSON object: by "precision-stage", bytes of all tensors that training has made, and the number of parameters.
"""

from __future__ import annotations

import gc
import json
import warnings

import torch

from pretrain_api.spec.model import Model
from pretrain_api.spec.training import Training
from pretrain_trainer.engine.process_group import ProcessGroup
from pretrain_trainer.engine.training_engine import TrainingEngine
from pretrain_trainer.environment import RankEnvironment
from pretrain_trainer.models.families import build_model, count_parameters, initialize

MODEL = Model(hidden_size=256, intermediate_size=704, num_hidden_layers=4, num_attention_heads=4, num_key_value_heads=4)
VOCABULARY, LENGTH = 2048, 32


def storages() -> dict[int, int]:
    """Return the bytes of every tensor's storage, by address."""
    gc.collect()
    found: dict[int, int] = {}
    for tensor in [item for item in gc.get_objects() if type(item) in (torch.Tensor, torch.nn.Parameter)]:
        for part in (tensor, tensor.grad if tensor.is_leaf else None):
            if part is not None:
                found[part.untyped_storage().data_ptr()] = part.untyped_storage().nbytes()
    return found


def measure(precision: str, stage: int, group: ProcessGroup) -> int:
    """Return the bytes that training has added when one of two micro-batches of the second step is done."""
    before = set(storages())
    training = Training.model_validate(
        {
            "tokens": 100_000,
            "sequenceLength": LENGTH,
            "batch": {"stages": [{"tokens": 4 * LENGTH, "from": 0}]},
            "learningRate": {"peak": 1e-3},
            "precision": precision,
            "parallelism": {"zero": stage},
        }
    )
    model = build_model(MODEL, VOCABULARY, LENGTH)
    initialize(model, 1)
    engine = TrainingEngine(model, training, 2, group)
    tokens = torch.zeros((1, LENGTH), dtype=torch.int64)
    for last in (False, True, False):
        engine.set_learning_rate(1e-3)
        engine.backward({"input_ids": tokens, "labels": tokens}, last=last)
        engine.step()
    return sum(size for address, size in storages().items() if address not in before)


def main() -> None:
    warnings.simplefilter("ignore")
    environment = RankEnvironment.read()
    group = ProcessGroup(environment, 120)
    parameters = count_parameters(build_model(MODEL, VOCABULARY, LENGTH, device="meta"))
    held = {f"{kind}-{stage}": measure(kind, stage, group) for kind in ("bf16", "fp32") for stage in range(4)}
    (environment.run_directory / f"held-{environment.rank}.json").write_text(
        json.dumps({"parameters": parameters, "held": held})
    )


if __name__ == "__main__":
    main()
