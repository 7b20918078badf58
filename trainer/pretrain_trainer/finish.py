"""The end of a run: samples, export, completion marker."""

from __future__ import annotations

import logging

import numpy as np
import torch

from pretrain_api.names import LedgerEvent, Reason
from pretrain_api.wire import TerminationMessage
from pretrain_trainer.assembly import Parts
from pretrain_trainer.checkpoint.layout import directory_name, state_file
from pretrain_trainer.checkpoint.snapshot import SavedState
from pretrain_trainer.evaluation import continue_text
from pretrain_trainer.export import export_model
from pretrain_trainer.files import write_json
from pretrain_trainer.ledger import utc_now
from pretrain_trainer.position import Position

PROMPT_TOKENS = 12
"""Length of a prompt that is taken from a validation document."""
EXPORT_TYPES = {"fp32": torch.float32, "tf32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
logger = logging.getLogger(__name__)


def finish_run(parts: Parts, position: Position) -> TerminationMessage:
    """Write samples and export, then the marker that says that all is done; a collective."""
    records = parts.records
    records.progress("Training", "writing text samples")
    _write_samples(parts)
    records.progress("Training", "exporting the model")
    if records.is_main:
        _export(parts, position)
    loss = records.status.validation_loss
    message = f"trained {position.tokens} tokens in {position.step} steps"
    message += f"; validation loss {loss:.4f}" if loss is not None else ""
    records.event(LedgerEvent.COMPLETE, message, validationLoss=loss)
    if records.is_main:
        marker = {"time": utc_now(), "step": position.step, "tokens": position.tokens, "validationLoss": loss}
        write_json(
            parts.storage.completed, marker | {"trajectory": parts.trajectory, "totalTokens": parts.training.tokens}
        )
    records.progress("Completed", message)
    counts: dict[str, int | float] = {"steps": position.step, "tokens": position.tokens}
    return TerminationMessage(outcome="Completed", reason=Reason.COMPLETED, message=message, counts=counts)


def _export(parts: Parts, position: Position) -> None:
    directory = parts.storage.checkpoints / directory_name(position.step)
    world_size = parts.engine.group.world_size
    state = SavedState([directory / state_file(rank, world_size) for rank in range(world_size)])
    dtype = EXPORT_TYPES[parts.training.precision]
    tokenizer = parts.storage.root / parts.blend.tokenizer
    export_model(parts.engine.module, state, parts.blend, tokenizer, parts.storage.model, dtype, parts.beat)
    logger.info("model exported to %s", parts.storage.model)


def _write_samples(parts: Parts) -> None:
    """Let the model continue a few beginnings; needs a SentencePiece tokenizer."""
    settings = parts.training.evaluation.samples
    model_file = parts.storage.root / parts.blend.tokenizer / "tokenizer.model"
    if settings.count == 0 or not model_file.exists():
        return
    import sentencepiece

    pieces = sentencepiece.SentencePieceProcessor(model_file=str(model_file))
    prompts = [pieces.encode(text) for text in settings.prompts][: settings.count]
    prompts += validation_prompts(parts)[: settings.count - len(prompts)]
    samples = []
    for number, prompt in enumerate(prompts):
        seed = parts.training.seed + number
        end = parts.blend.special_tokens.eos
        tokens = continue_text(parts.engine, prompt, settings.new_tokens, settings.temperature, seed, end)
        samples.append({"prompt": pieces.decode(prompt), "text": pieces.decode(tokens)})
        parts.beat()
    if parts.records.is_main:
        write_json(parts.storage.samples, samples)


def validation_prompts(parts: Parts) -> list[list[int]]:
    """Return beginnings of validation documents that are spread over all of them."""
    beginnings: list[list[int]] = []
    count = parts.training.evaluation.samples.count
    special = set(parts.blend.special_tokens.model_dump().values())
    for stream in parts.validation.streams.values():
        for file in stream.files:
            starts = np.concatenate(([0], np.cumsum(file.document_lengths, dtype=np.int64)))
            long_enough = np.flatnonzero(file.document_lengths >= 2 * PROMPT_TOKENS)
            for document in long_enough[:: max(1, long_enough.size // count)][:count]:
                start = int(starts[document])
                tokens = [int(token) for token in file.tokens[start : start + PROMPT_TOKENS]]
                beginnings.append([token for token in tokens if token not in special])
    return beginnings[:: max(1, len(beginnings) // count)] if beginnings else []
