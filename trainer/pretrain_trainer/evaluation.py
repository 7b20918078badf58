"""Validation loss."""

from __future__ import annotations

from collections.abc import Callable

import torch

from pretrain_trainer.data.dataset import IGNORED_TARGET
from pretrain_trainer.engine.training_engine import TrainingEngine, as_tensors
from pretrain_trainer.objectives.reading import ValidationBatches


@torch.no_grad()
def validation_losses(
    engine: TrainingEngine, batches: ValidationBatches, batch_size: int, beat: Callable[[], None]
) -> dict[str, float]:
    """Return the mean loss of each source's validation tokens, in nats a token; a collective.

    Every rank computes its share of the sequences. The number of forward passes is the same on all ranks, as ZeRO 3
    needs.
    """
    engine.deepspeed.eval()
    sums: list[float] = []
    for source in batches.data.starts:
        total = counted = 0.0
        for batch in batches.read(source, batch_size, engine.group.rank, engine.group.world_size):
            number = int((batch["labels"] != IGNORED_TARGET).sum())
            loss = float(engine.module(**as_tensors(batch, engine.group.device)))
            total, counted = total + loss * number, counted + number
            beat()
        sums += [total, counted]
    engine.deepspeed.train()
    reduced = engine.group.sum(sums)
    return {source: reduced[2 * i] / max(1.0, reduced[2 * i + 1]) for i, source in enumerate(batches.data.starts)}


def weighted_mean(losses: dict[str, float], tokens: dict[str, int]) -> float:
    """Return the mean over all tokens: every source counts by its number of validation tokens."""
    total = sum(tokens[source] for source in losses)
    return sum(loss * tokens[source] for source, loss in losses.items()) / max(1, total)
