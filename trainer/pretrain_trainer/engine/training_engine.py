"""DeepSpeed's engine, set up for a job, with the few things the training loop needs of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from pretrain_api.spec.training import Training
from pretrain_trainer.engine.compilation import compile_network
from pretrain_trainer.engine.deepspeed_setup import deepspeed
from pretrain_trainer.engine.optimizer import UpdateGuard, build_optimizer, parameter_groups
from pretrain_trainer.engine.process_group import ProcessGroup
from pretrain_trainer.models.families import count_parameters
from pretrain_trainer.models.network import Network

MAX_BUCKET_ELEMENTS = 200_000_000
"""Elements reduced at a time, at most (DeepSpeed's own default of 500 M takes 2 GB for any model)."""


class TrainingEngine:
    """One model in training on all ranks."""

    def __init__(self, model: Network, training: Training, accumulation: int, group: ProcessGroup) -> None:
        """Hand `model`, initialised alike on all ranks, over to DeepSpeed; a collective.

        Args:
            model: The network, in FP32, on the CPU.
            training: How it learns.
            accumulation: Micro-batches a step, at first.
            group: The ranks.
        """
        self.group = group
        self.training = training
        self.optimizer = build_optimizer(training.optimizer, parameter_groups(model, training.optimizer))
        if _clips_itself(training):
            self.optimizer.clip_norm = training.gradient_clip
        if training.compile:
            compile_network(model, group.device.type)
        config = deepspeed_config(training, accumulation, count_parameters(model))
        self.deepspeed, *_ = deepspeed.initialize(
            model=model, optimizer=self.optimizer, config=config, dist_init_required=False
        )
        self.optimizer = self.deepspeed.basic_optimizer
        # Some of DeepSpeed's optimisers have made a step with gradients of zero, and counted it.
        self.optimizer.state.clear()

    @property
    def module(self) -> Network:
        """The network."""
        module: Network = self.deepspeed.module
        return module

    def set_batch_sequences(self, sequences: int) -> int:
        """Change the number of sequences a step; return the micro-batches a rank it takes."""
        self.deepspeed.set_train_batch_size(sequences)
        return int(self.deepspeed.gradient_accumulation_steps())

    def set_learning_rate(self, learning_rate: float) -> None:
        """Set the learning rate of the next step."""
        for group in self.deepspeed.optimizer.param_groups:
            group["lr"] = learning_rate

    def set_guard(self, guard: UpdateGuard | None) -> None:
        """Set what is asked before weights change."""
        normalizes = self.training.optimizer.type == "normalized-gradient"
        self.optimizer.guard = self._normalized(guard) if normalizes and guard is not None else guard

    def _normalized(self, guard: UpdateGuard) -> UpdateGuard:
        """Return a guard that makes the global norm of the gradient, clipped already, 1 before other factors."""

        def normalized() -> float:
            factor, norm, limit = guard(), self.gradient_norm(), self.training.gradient_clip
            clipped = min(norm, limit) if limit > 0 else norm
            return factor / clipped if clipped > 0 else 0.0

        return normalized

    def backward(self, batch: dict[str, Tensor], last: bool) -> Tensor:
        """Add a micro-batch's gradients; return its mean loss, FP32, on the device.

        Args:
            batch: What the network takes, by name.
            last: Whether it is the batch's last micro-batch. (DeepSpeed's own counter of micro-batches runs over the
            whole
                life of the process, and is out of step when the accumulation changes after a restart.)
        """
        self.deepspeed.set_gradient_accumulation_boundary(last)
        loss: Tensor = self.deepspeed(**batch)
        self.deepspeed.backward(loss)
        return loss.detach()

    def step(self) -> None:
        """Call after each `backward`: the last one of a batch updates the weights, if the guard lets it."""
        self.deepspeed.step()

    def gradient_norm(self) -> float:
        """Return the global norm of this step's gradients before clipping; infinity or NaN if it isn't finite.

        DeepSpeed marks a norm that isn't finite by -1.
        """
        norm = getattr(self.deepspeed.optimizer, "_global_grad_norm", None)
        value = float(norm) if norm is not None else float("nan")
        return value if value >= 0 else float("inf")

    def overflowed(self) -> bool:
        """Return whether DeepSpeed left the last update out because the gradients weren't finite."""
        return bool(getattr(self.deepspeed.optimizer, "overflow", False))

    def loss_scale(self) -> float | None:
        """Return the loss scale of FP16; None in other formats."""
        return float(self.deepspeed.optimizer.loss_scale) if self.training.precision == "fp16" else None

    def set_loss_scale(self, scale: float) -> None:
        """Go on with a loss scale that was saved."""
        if self.training.precision == "fp16":
            scaler = (
                getattr(self.deepspeed.optimizer, "loss_scaler", None) or self.deepspeed.optimizer.loss_scale_config
            )
            scaler.cur_scale = scale


def deepspeed_config(training: Training, accumulation: int, num_parameters: int) -> dict[str, Any]:
    """Return DeepSpeed's configuration for a job."""
    stage = training.parallelism.zero
    bucket = min(MAX_BUCKET_ELEMENTS, max(1_000_000, num_parameters))
    zero: dict[str, Any] = {
        "stage": stage,
        "reduce_bucket_size": bucket,
        "allgather_bucket_size": bucket,
        "overlap_comm": torch.cuda.is_available(),
    }
    if training.parallelism.offload == "cpu" and stage > 0:
        zero["offload_optimizer"] = {"device": "cpu", "pin_memory": torch.cuda.is_available()}
    config: dict[str, Any] = {
        "train_micro_batch_size_per_gpu": training.micro_batch_size,
        "gradient_accumulation_steps": accumulation,
        "gradient_clipping": 0.0 if _clips_itself(training) else training.gradient_clip,
        "zero_optimization": zero,
        "zero_allow_untested_optimizer": True,
        "zero_force_ds_cpu_optimizer": False,
        "steps_per_print": None,
    }
    if training.precision in ("bf16", "fp16"):
        config[training.precision] = {"enabled": True}
        if stage > 0 and training.precision == "bf16":
            config["data_types"] = {"grad_accum_dtype": "fp32"}
    return config


def _clips_itself(training: Training) -> bool:
    """DeepSpeed doesn't tell the gradient norm of plain FP32 training, so the optimiser takes it."""
    return training.parallelism.zero == 0 and training.precision in ("fp32", "tf32")


def as_tensors(arrays: Mapping[str, Any], device: torch.device) -> dict[str, Tensor]:
    """Return numpy arrays as tensors on `device`."""
    return {name: torch.from_numpy(array).to(device, non_blocking=True) for name, array in arrays.items()}
