"""Which signals are due while ranks are being stopped: a pure plan."""

from __future__ import annotations

import signal
from dataclasses import dataclass, field

from pretrain_trainer.rank_protocol import STACK_DUMP_SIGNAL, STOP_SIGNAL
from pretrain_trainer.supervisor.agent import StopMode

SETTLE_SECONDS = 0.3
"""Before SIGTERM where a rank has failed: the others' own end may tell more, as its peers often notice first."""
KILL_GRACE_SECONDS = 1.0
"""Until SIGKILL where no checkpoint is expected: time to flush output, no more, since every restart pays
it when a rank is stuck in a collective operation."""
STACK_DUMP_SECONDS = 1.0
"""Between SIGUSR1 and SIGKILL: writing the stacks of a process takes milliseconds."""

_FORCE = [StopMode.SAVE, StopMode.KILL, StopMode.DUMP, StopMode.NOW]


@dataclass
class StopPlan:
    """Signals by the time at which they are due."""

    mode: StopMode
    grace_seconds: float
    """For a checkpoint, in mode SAVE."""
    asked: bool = False
    """Has any signal been sent? Until then, whatever ends has ended by itself."""
    _due: list[tuple[float, signal.Signals]] = field(default_factory=list)

    @classmethod
    def begin(cls, mode: StopMode, now: float, grace_seconds: float) -> StopPlan:
        """Plan from `now` on."""
        plan = cls(mode, grace_seconds)
        plan._schedule(mode, now)
        return plan

    def strengthen(self, mode: StopMode, now: float) -> None:
        """Go over to `mode` if it is more forceful than the one under way."""
        if _FORCE.index(mode) > _FORCE.index(self.mode):
            self.mode = mode
            self._schedule(mode, now)

    def due(self, now: float) -> list[signal.Signals]:
        """Return the signals to send now; each comes once."""
        ready = [number for time, number in self._due if time <= now]
        self._due = [(time, number) for time, number in self._due if time > now]
        self.asked = self.asked or bool(ready)
        return ready

    def _schedule(self, mode: StopMode, now: float) -> None:
        steps: dict[StopMode, list[tuple[float, signal.Signals]]] = {
            StopMode.SAVE: [(0.0, STOP_SIGNAL), (self.grace_seconds, signal.SIGKILL)],
            StopMode.KILL: [(SETTLE_SECONDS, STOP_SIGNAL), (KILL_GRACE_SECONDS, signal.SIGKILL)],
            StopMode.DUMP: [(0.0, STACK_DUMP_SIGNAL), (STACK_DUMP_SECONDS, signal.SIGKILL)],
            StopMode.NOW: [(0.0, signal.SIGKILL)],
        }
        self._due = [(now + delay, number) for delay, number in steps[mode]]
