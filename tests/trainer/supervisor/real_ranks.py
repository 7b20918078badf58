"""A job of two pods with one real rank each, on loopback, to take ranks and pods from."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from harness import Node, Rehearsals, children, kill, wait_until
from rank_harness import job, synthetic_blend

from pretrain_trainer.rank_protocol import RANK_MODULE
from pretrain_trainer.supervisor.settings import STANDBY_IMPORTS

EVERY_STEPS = 20
"""Steps from checkpoint to checkpoint."""


@dataclass(frozen=True)
class Recovery:
    """How training went on.

    Attributes:
        seconds: From the loss to a step of the next generation.
        restarts: By how many the count of restarts grew.
        newest_checkpoint: Step of the newest checkpoint that was there at the loss.
        first_step: The first step that was seen of the next generation.
    """

    seconds: float
    restarts: int
    newest_checkpoint: int
    first_step: int


class RealRanks:
    """The job; in training once it is entered."""

    def __init__(self, directory: Path) -> None:
        self.place = Rehearsals(directory)
        synthetic_blend(self.place.storage)
        self.place.job = job(
            self.place.storage, training__tokens=16 * 32 * 1_000_000, checkpoint__everySteps=EVERY_STEPS
        )
        self.place.environment = {
            "PRETRAIN_RANK_MODULE": RANK_MODULE,
            "PRETRAIN_STANDBY_IMPORTS": ",".join(STANDBY_IMPORTS),
            "PET_MASTER_ADDR": "localhost",  # a name, as in a pod
            "OMP_NUM_THREADS": "1",
        }
        self.nodes: list[Node] = []

    def __enter__(self) -> Self:
        """Start it; wait for steps after the first checkpoint."""
        self.nodes = [self.place.start(rank, 2, 1) for rank in range(2)]
        wait_until(lambda: self.nodes[0].step() > EVERY_STEPS + 5, "training with a checkpoint")
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self.place.close()

    def kill_rank(self, node: int) -> Recovery:
        """Kill the rank of a node."""
        before = self._restarts()
        newest, began = self._newest_checkpoint(), time.monotonic()
        [launcher] = children(self.nodes[node].process.pid)
        kill(children(launcher)[0])
        return self._recovery(before, newest, began)

    def kill_pod(self, node: int) -> Recovery:
        """Kill the supervisor of a node, and start another one in its place."""
        before = self._restarts()
        newest, began = self._newest_checkpoint(), time.monotonic()
        self.nodes[node].process.kill()
        self.nodes[node].wait()
        self.nodes[node] = self.place.start(node, 2, 1)
        return self._recovery(before, newest, began)

    def _restarts(self) -> int:
        return int(self.nodes[0].progress().get("restarts", {}).get("total", 0))

    def _newest_checkpoint(self) -> int:
        folders = (self.place.storage / "checkpoints").glob("step-*[0-9]")
        return max(int(folder.name.removeprefix("step-")) for folder in folders)

    def _recovery(self, restarts: int, newest: int, began: float) -> Recovery:
        """Wait until a new generation makes steps."""

        def begun() -> int | None:
            progress: dict[str, Any] = self.nodes[0].progress()
            again = progress.get("restarts", {}).get("total", 0) > restarts and progress["state"] == "Training"
            return progress["training"]["step"] if again else None

        first = wait_until(begun, "a new generation")
        wait_until(lambda: (begun() or 0) > first, "a step of it")
        return Recovery(time.monotonic() - began, self._restarts() - restarts, newest, first)
