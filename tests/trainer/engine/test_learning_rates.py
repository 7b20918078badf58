"""Learning rates are those of transformers' schedules, step for step, where a step has a constant number of tokens."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import transformers

from pretrain_api.schedule import learning_rate_at
from pretrain_api.spec.training import LearningRate

BATCH, STEPS, WARMUP, PEAK = 512, 1000, 100, 3e-3

CASES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("constant_with_warmup", {}, {"decay": "constant"}),
    ("linear", {}, {"decay": "linear", "floor": 0.0}),
    ("cosine", {}, {"decay": "cosine", "floor": 0.0}),
    ("cosine_with_min_lr", {"min_lr_rate": 0.1}, {"decay": "cosine", "floor": 0.1}),
    ("inverse_sqrt", {}, {"decay": "inverse-sqrt", "floor": 0.0}),
    *(
        (
            "warmup_stable_decay",
            {"num_stable_steps": 700, "num_decay_steps": 200, "min_lr_ratio": 0.1, "decay_type": shape},
            {"decay": "wsd", "annealTokens": 200 * BATCH, "annealShape": shape, "floor": 0.1},
        )
        for shape in ("linear", "cosine", "1-sqrt")
    ),
]


@pytest.mark.parametrize(("name", "theirs", "ours"), CASES, ids=lambda value: value if isinstance(value, str) else "")
def test_rates(name: str, theirs: dict[str, Any], ours: dict[str, Any]) -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=PEAK)
    steps = None if name == "warmup_stable_decay" else STEPS
    scheduler = transformers.get_scheduler(name, optimizer, WARMUP, steps, scheduler_specific_kwargs=theirs)
    schedule = LearningRate.model_validate({"peak": PEAK, "warmupTokens": WARMUP * BATCH, **ours})
    for step in range(STEPS):
        found = learning_rate_at(schedule, step * BATCH, STEPS * BATCH)
        if step >= WARMUP or name != "warmup_stable_decay":  # theirs warms up from the floor, ours from 0 in all shapes
            assert found == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-9, abs=1e-12), step
        optimizer.step()
        scheduler.step()
