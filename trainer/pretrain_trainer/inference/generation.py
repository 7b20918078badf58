"""Continuing a text, or answering it, token by token."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from pretrain_trainer.errors import InvalidConfiguration
from pretrain_trainer.inference.loading import LoadedModel
from pretrain_trainer.inference.sampling import SamplingSettings, draw


def continuation(model: LoadedModel, prompt: list[int], settings: SamplingSettings) -> Iterator[int]:
    """Yield the tokens that the model puts after `prompt`, up to the end of the document or `max_tokens`.

    Where the text gets longer than the model's sequences, it sees the newest tokens.

    Raises:
        InvalidConfiguration: The model writes no text, or the prompt is empty and there is nothing to begin with.
    """
    if model.kind == "encoder":
        raise InvalidConfiguration(f"{model.source}: an encoder writes no text; name a model with a decoder")
    begin = list(prompt) or [token for token in (model.bos, model.eos) if token is not None][:1]
    if not begin:
        raise InvalidConfiguration("the prompt is empty and the tokenizer has no token to begin with; write a prompt")
    generator = torch.Generator().manual_seed(settings.seed)
    written: list[int] = []
    for _ in range(settings.max_tokens):
        token = draw(model.next_logits(begin, written), settings, generator)
        if token == model.eos:
            return
        written.append(token)
        yield token
