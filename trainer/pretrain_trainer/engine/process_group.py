"""The ranks of a run: joining them, and agreeing on numbers and objects."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import torch
from torch import distributed

from pretrain_trainer.environment import RankEnvironment


class ProcessGroup:
    """All ranks. Every method is a collective: all ranks call it, in the same order."""

    def __init__(self, environment: RankEnvironment, timeout_seconds: float) -> None:
        """Join the others: NCCL where there are GPUs, gloo where there are none.

        Args:
            environment: Which rank this is.
            timeout_seconds: How long a collective may wait for a peer.
        """
        self.rank, self.world_size = environment.rank, environment.world_size
        self.on_gpu = torch.cuda.is_available()
        self.device = torch.device("cuda", environment.local_rank) if self.on_gpu else torch.device("cpu")
        if self.on_gpu:
            torch.cuda.set_device(self.device)
        else:
            limit_threads(environment.local_world_size)
        distributed.init_process_group(
            "nccl" if self.on_gpu else "gloo",
            rank=self.rank,
            world_size=self.world_size,
            timeout=timedelta(seconds=timeout_seconds),
            device_id=self.device if self.on_gpu else None,
        )

    def sum(self, values: Sequence[float]) -> list[float]:
        """Return the sums over the ranks; the same bits on all of them."""
        tensor = torch.tensor(values, dtype=torch.float64, device=self.device)
        if self.world_size > 1:
            distributed.all_reduce(tensor)
        return [float(value) for value in tensor.tolist()]

    def from_rank_0(self, value: Any) -> Any:
        """Return rank 0's value (something that pickles) on all ranks."""
        if self.world_size == 1:
            return value
        values = [value]
        distributed.broadcast_object_list(values, src=0, device=self.device)
        return values[0]

    def gather(self, value: Any) -> list[Any]:
        """Return every rank's value, in the order of the ranks, on all ranks."""
        if self.world_size == 1:
            return [value]
        values: list[Any] = [None] * self.world_size
        distributed.all_gather_object(values, value)
        return values

    def close(self) -> None:
        """Leave the others."""
        if distributed.is_initialized():
            distributed.destroy_process_group()


def limit_threads(local_world_size: int) -> None:
    """Give every rank of this machine an equal share of the cores it may use.

    More threads than cores cost more than they bring, and the sums of a matrix product depend on the number of threads:
    one that follows from the cores and ranks alone keeps two runs on a machine equal to the last bit.
    """
    threads = max(1, len(os.sched_getaffinity(0)) // local_world_size)
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", threads)))
