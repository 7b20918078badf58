"""The end of a run: samples, export, completion marker."""

from __future__ import annotations

import logging

import torch

from pretrain_api.names import LedgerEvent, Reason
from pretrain_api.wire import TerminationMessage
from pretrain_trainer.assembly import Parts
from pretrain_trainer.checkpoint.layout import directory_name, state_file
from pretrain_trainer.checkpoint.snapshot import SavedState
from pretrain_trainer.completion import write_marker
from pretrain_trainer.export import export_model
from pretrain_trainer.ledger import utc_now
from pretrain_trainer.position import Position
from pretrain_trainer.samples import write_samples

EXPORT_TYPES = {"fp32": torch.float32, "tf32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
logger = logging.getLogger(__name__)


def finish_run(parts: Parts, position: Position) -> TerminationMessage:
    """Write samples and export, then the marker that says that all is done; a collective."""
    records = parts.records
    records.progress("Training", "writing text samples")
    write_samples(parts)
    records.progress("Training", "exporting the model")
    if records.is_main:
        _export(parts, position)
    loss = records.status.validation_loss
    message = f"trained {position.tokens} tokens in {position.step} steps"
    message += f"; validation loss {loss:.4f}" if loss is not None else ""
    records.event(LedgerEvent.COMPLETE, message, validationLoss=loss)
    if records.is_main:
        marker = {"time": utc_now(), "step": position.step, "tokens": position.tokens, "validationLoss": loss}
        marker |= {"trajectory": parts.trajectory, "totalTokens": parts.training.tokens}
        write_marker(parts.storage, records.environment.training_configuration, marker)
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
