"""Being told to stop."""

from __future__ import annotations

import faulthandler
import signal
from types import FrameType

from pretrain_trainer.rank_protocol import STACK_DUMP_SIGNAL, STOP_SIGNAL


class Stopped(Exception):  # noqa: N818
    """The rank was told to stop, and the state is saved."""

    def __init__(self, step: int) -> None:
        super().__init__(f"stopped at step {step}; the state is saved")


class StopRequest:
    """Set by SIGTERM; the ranks agree on it at the end of a step."""

    def __init__(self) -> None:
        self.requested = False

    def install(self) -> None:
        """Take SIGTERM from now on, and dump stacks at SIGUSR1."""
        signal.signal(STOP_SIGNAL, self._request)
        faulthandler.register(STACK_DUMP_SIGNAL, all_threads=True)

    def _request(self, number: int, frame: FrameType | None) -> None:
        self.requested = True
