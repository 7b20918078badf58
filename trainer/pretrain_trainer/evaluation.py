"""Validation loss, and text samples of a model in training."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from pretrain_trainer.data.dataset import IGNORED_TARGET, ValidationData
from pretrain_trainer.engine.training_engine import TrainingEngine, as_tensors


@torch.no_grad()
def validation_losses(
    engine: TrainingEngine, data: ValidationData, batch_size: int, beat: Callable[[], None]
) -> dict[str, float]:
    """Return the mean loss of each source's validation tokens, in nats a token; a collective.

    Every rank computes its share of the sequences. The number of forward passes is the same on all ranks, as ZeRO 3
    needs.
    """
    engine.deepspeed.eval()
    sums: list[float] = []
    for source in data.starts:
        total = counted = 0.0
        for arrays in data.batches(source, batch_size, engine.group.rank, engine.group.world_size):
            inputs, targets = as_tensors(arrays, engine.group.device)
            number = int((targets != IGNORED_TARGET).sum())
            loss = float(engine.module(inputs, targets))
            total, counted = total + loss * number, counted + number
            beat()
        sums += [total, counted]
    engine.deepspeed.train()
    reduced = engine.group.sum(sums)
    return {source: reduced[2 * i] / max(1.0, reduced[2 * i + 1]) for i, source in enumerate(data.starts)}


def weighted_mean(losses: dict[str, float], tokens: dict[str, int]) -> float:
    """Return the mean over all tokens: every source counts by its number of validation tokens."""
    total = sum(tokens[source] for source in losses)
    return sum(loss * tokens[source] for source, loss in losses.items()) / max(1, total)


@torch.no_grad()
def continue_text(
    engine: TrainingEngine,
    prompt: list[int],
    new_tokens: int,
    temperature: float,
    seed: int,
    end_token: int | None,
) -> list[int]:
    """Return the tokens that the model puts after `prompt`, at most `new_tokens`; a collective, equal on all ranks.

    Args:
        engine: The model.
        prompt: Token ids, at least one.
        new_tokens: Most tokens to add.
        temperature: Softmax temperature; 0 takes the likeliest token.
        seed: Seed of the draws.
        end_token: Stop after this token.
    """
    engine.deepspeed.eval()
    generator = torch.Generator().manual_seed(seed)
    tokens = list(prompt)
    limit = engine.module.config.max_position_embeddings
    for _ in range(new_tokens):
        context = torch.tensor([tokens[-limit:]], device=engine.group.device)
        token = _draw(engine.module(context)[0, -1].float().cpu(), temperature, generator)
        tokens.append(token)
        if token == end_token:
            break
    engine.deepspeed.train()
    return tokens[len(prompt) :]


def _draw(logits: Tensor, temperature: float, generator: torch.Generator) -> int:
    if temperature == 0:
        return int(logits.argmax())
    probabilities = torch.softmax(logits / temperature, dim=-1)
    return int(torch.multinomial(probabilities, 1, generator=generator))
