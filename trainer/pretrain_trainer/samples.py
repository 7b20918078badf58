"""Text samples of a trained network: continuations of decoders and encoder-decoders, filled masks of encoders."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import groupby

import numpy as np
import torch
from torch import Tensor

from pretrain_api.names import CLASSIFICATION_TOKEN, MASK_TOKEN, MODE_TOKENS, SEPARATOR_TOKEN, sentinel_token
from pretrain_api.objectives import denoisers_of
from pretrain_api.wire import Blend
from pretrain_trainer.assembly import Parts
from pretrain_trainer.files import write_json
from pretrain_trainer.tokenizer import TextTokenizer, open_tokenizer

PROMPT_TOKENS = 12
"""Length of a prompt that is taken from a validation document."""
MASKED_EACH = 6
"""Of an encoder's prompt one token in so many is masked: the usual share of 15 %."""
Sample = tuple[list[int], list[int]]
"""What the network reads, and what it makes of it."""


def write_samples(parts: Parts) -> None:
    """Let the network continue, or fill, a few beginnings; needs a tokenizer. A collective."""
    settings = parts.training.evaluation.samples
    pieces = open_tokenizer(parts.storage.root / parts.blend.tokenizer) if settings.count else None
    if pieces is None:
        return
    names = special_names(parts.blend)
    prompts = [pieces.encode(text) for text in settings.prompts][: settings.count]
    prompts += validation_prompts(parts)[: settings.count - len(prompts)]
    make = {"decoder": continued, "encoder-decoder": written, "encoder": filled}[parts.engine.module.kind]
    parts.engine.deepspeed.eval()
    samples = []
    for number, prompt in enumerate(prompts):
        read, made = make(parts, prompt, torch.Generator().manual_seed(parts.training.seed + number))
        samples.append({"prompt": readable(pieces, names, read), "text": readable(pieces, names, made)})
        parts.beat()
    parts.engine.deepspeed.train()
    if parts.records.is_main:
        write_json(parts.storage.samples, samples)


def continued(parts: Parts, prompt: list[int], generator: torch.Generator) -> Sample:
    """Return what a decoder puts after `prompt`."""
    module, limit = parts.engine.module, parts.training.sequence_length
    prefix = {}
    if parts.validation.builder.has_prefixes:
        prefix["prefix_lengths"] = torch.tensor([min(len(prompt), limit)], device=parts.engine.group.device)

    def logits(tokens: list[int]) -> Tensor:
        context = torch.tensor([[*prompt, *tokens][-limit:]], device=parts.engine.group.device)
        return module(context, **prefix)[0, -1]  # type: ignore[no-any-return]

    return prompt, _drawn(parts, logits, parts.training.evaluation.samples.new_tokens, generator)


def written(parts: Parts, prompt: list[int], generator: torch.Generator) -> Sample:
    """Return what a decoder writes whose encoder reads `prompt`, in the form that the objective has taught."""
    module, device = parts.engine.module, parts.engine.group.device
    shape, vocabulary = parts.validation.builder.shape, parts.validation.builder.vocabulary
    before, after = _frame(parts)
    read = [*before, *prompt, *after]
    source = torch.tensor([[*read, vocabulary.end]], device=device)

    def logits(tokens: list[int]) -> Tensor:
        context = torch.tensor([[vocabulary.pad, *tokens]], device=device)
        return module(source, decoder_input_ids=context)[0, -1]  # type: ignore[no-any-return]

    new_tokens = min(shape.targets, parts.training.evaluation.samples.new_tokens)
    return read, _drawn(parts, logits, new_tokens, generator)


def _frame(parts: Parts) -> tuple[list[int], list[int]]:
    """Return what stands before and after a prompt, so that what follows it is asked for."""
    reserved, part = parts.validation.builder.vocabulary.reserved, parts.spec.objective.parts[0]
    if part.type == "denoising":
        return [], [reserved[MASK_TOKEN]]
    if part.type not in ("span-corruption", "mixture-of-denoisers"):
        return [], []
    modes = [denoiser.mode for denoiser in denoisers_of(part)] if part.type == "mixture-of-denoisers" else []
    mode = [reserved[MODE_TOKENS["S" if "S" in modes else modes[0]]]] if modes else []
    return mode, [reserved[sentinel_token(0)]]


def filled(parts: Parts, prompt: list[int], generator: torch.Generator) -> Sample:
    """Return `prompt` with masks, and with what an encoder puts in their places: the likeliest tokens."""
    reserved = parts.validation.builder.vocabulary.reserved
    count = max(1, len(prompt) // MASKED_EACH)
    places = torch.randperm(len(prompt), generator=generator)[:count].tolist()
    masked = [reserved[MASK_TOKEN] if place in places else token for place, token in enumerate(prompt)]
    framed = [reserved[CLASSIFICATION_TOKEN], *masked, reserved[SEPARATOR_TOKEN]]
    tokens = torch.tensor([framed], device=parts.engine.group.device)
    with torch.no_grad():
        likeliest = parts.engine.module(tokens)[0].argmax(-1).tolist()
    return masked, [likeliest[place + 1] if place in places else token for place, token in enumerate(prompt)]


@torch.no_grad()
def _drawn(
    parts: Parts, logits: Callable[[list[int]], Tensor], new_tokens: int, generator: torch.Generator
) -> list[int]:
    """Return at most `new_tokens` tokens, each drawn from the logits after those before it, to the end token."""
    temperature, tokens = parts.training.evaluation.samples.temperature, list[int]()
    while len(tokens) < new_tokens and tokens[-1:] != [parts.blend.special_tokens.eos]:
        scores = logits(tokens).float().cpu()
        if temperature == 0:
            tokens.append(int(scores.argmax()))
        else:
            tokens.append(int(torch.multinomial((scores / temperature).softmax(-1), 1, generator=generator)))
    return tokens


def special_names(blend: Blend) -> dict[int, str]:
    """Return how special tokens are shown: reserved ones by name, padding and ends of documents not at all."""
    special = blend.special_tokens
    unseen = dict.fromkeys([token for token in (special.pad, special.bos, special.eos) if token is not None], "")
    return unseen | {token: text for text, token in blend.reserved_tokens.items()}


def readable(tokenizer: TextTokenizer, names: Mapping[int, str], tokens: list[int]) -> str:
    """Return text, in which special tokens stand as `names` has them."""
    texts = []
    for is_special, group in groupby(tokens, key=names.__contains__):
        if is_special:
            texts += [names[token] for token in group]
        else:
            texts.append(tokenizer.decode(list(group)))
    return " ".join(text for text in texts if text)


def validation_prompts(parts: Parts) -> list[list[int]]:
    """Return beginnings of validation documents that are spread over all of them."""
    beginnings: list[list[int]] = []
    count = parts.training.evaluation.samples.count
    special = set(parts.blend.special_tokens.model_dump().values())
    for stream in parts.validation.data.streams.values():
        for file in stream.files:
            starts = np.concatenate(([0], np.cumsum(file.document_lengths, dtype=np.int64)))
            long_enough = np.flatnonzero(file.document_lengths >= 2 * PROMPT_TOKENS)
            for document in long_enough[:: max(1, long_enough.size // count)][:count]:
                start = int(starts[document])
                tokens = [int(token) for token in file.tokens[start : start + PROMPT_TOKENS]]
                beginnings.append([token for token in tokens if token not in special])
    return beginnings[:: max(1, len(beginnings) // count)] if beginnings else []
