"""Which jobs want to be looked at: each by one worker at a time, however many events came, new ones first."""

from __future__ import annotations

import asyncio
import itertools
from collections import deque

JobKey = tuple[str, str]
"""Namespace and name of a PretrainJob."""
_FIRST, _LATER = 0, 1
BURST_JOBS = 5
BURST_SECONDS = 1.0
"""New jobs that come within so many seconds of each other are a burst: more are on their way to the API server."""
CALM_SECONDS = 0.5
"""A burst is over when no new job has come for so long."""
GATHER_SECONDS = 0.1
"""Events about one job come in swarms, our own writes among them: one look so long after the first sees them all."""


class WorkQueue:
    """Jobs to be looked at: each at most once in the queue, and with at most one worker."""

    def __init__(self) -> None:
        self._ready: asyncio.PriorityQueue[tuple[int, int, JobKey]] = asyncio.PriorityQueue()
        self._numbers = itertools.count()
        self._waiting: dict[JobKey, int] = {}
        """In the queue, or to be put there as soon as their worker is done; with their rank."""
        self._working: set[JobKey] = set()
        self._timers: dict[JobKey, asyncio.TimerHandle] = {}
        self._new: set[JobKey] = set()
        """Jobs that wait for their first children."""
        self._no_new = asyncio.Event()
        self._no_new.set()
        self._arrivals: deque[float] = deque(maxlen=BURST_JOBS)
        """When the newest of them came."""

    def __len__(self) -> int:
        """Return how many jobs wait."""
        return len(self._waiting)

    def add(self, key: JobKey, new: bool = False) -> None:
        """Have `key` looked at; if it is being looked at, once more afterwards.

        Args:
            key: The job.
            new: Whether nothing has been done for it yet: then it comes before all that something was done for.
        """
        self._cancel_timer(key)
        if key in self._waiting:
            return
        self._waiting[key] = rank = _FIRST if new else _LATER
        if rank == _FIRST:
            self._new.add(key)
            self._no_new.clear()
            self._arrivals.append(asyncio.get_running_loop().time())
        if key not in self._working:
            self._put(key, rank)

    def note(self, key: JobKey) -> None:
        """Something happened to `key`: have it looked at with all that happens in the next moment."""
        self.add_after(key, GATHER_SECONDS)

    def add_after(self, key: JobKey, seconds: float) -> None:
        """Have `key` looked at after a time; sooner if somebody asks for that."""
        loop = asyncio.get_running_loop()
        timer = self._timers.get(key)
        if timer is not None and timer.when() <= loop.time() + seconds:
            return
        self._cancel_timer(key)
        self._timers[key] = loop.call_later(seconds, self.add, key)

    async def get(self) -> JobKey:
        """Wait for a job; `done` has to follow."""
        _, _, key = await self._ready.get()
        del self._waiting[key]
        self._working.add(key)
        self._cancel_timer(key)
        return key

    def done(self, key: JobKey) -> None:
        """The worker of `key` has finished."""
        self._working.discard(key)
        self.begun(key)
        if key in self._waiting:
            self._put(key, self._waiting[key])

    def begun(self, key: JobKey) -> None:
        """`key` has its children: it is new no longer."""
        self._new.discard(key)
        if not self._new:
            self._no_new.set()

    @property
    def has_new(self) -> bool:
        """Are there jobs that nothing has been done for yet, or will there be in a moment?"""
        return bool(self._new) or self._seconds_to_calm() > 0

    async def until_none_is_new(self, seconds: float) -> None:
        """Wait until no job is new, but no longer than a time."""
        try:
            async with asyncio.timeout(seconds):
                while self.has_new:
                    await self._no_new.wait()
                    await asyncio.sleep(self._seconds_to_calm())
        except TimeoutError:
            return

    def _seconds_to_calm(self) -> float:
        if len(self._arrivals) < BURST_JOBS or self._arrivals[-1] - self._arrivals[0] > BURST_SECONDS:
            return 0.0
        return max(0.0, self._arrivals[-1] + CALM_SECONDS - asyncio.get_running_loop().time())

    def close(self) -> None:
        """Let go of the timers."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def _put(self, key: JobKey, rank: int) -> None:
        self._ready.put_nowait((rank, next(self._numbers), key))

    def _cancel_timer(self, key: JobKey) -> None:
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()
