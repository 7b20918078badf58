"""Workers: take jobs from the queue, look at them, and come back when it is time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from aiohttp import ClientError

from pretrain_operator.kubernetes.client import ApiError
from pretrain_operator.kubernetes.logs import LOGGER
from pretrain_operator.kubernetes.metrics import OperatorMetrics
from pretrain_operator.kubernetes.queue import JobKey, WorkQueue

FIRST_DELAY_SECONDS = 0.5
LONGEST_DELAY_SECONDS = 30.0
LONGEST_WAY_SECONDS = 30.0
"""However many new jobs come, a look goes on after that time."""


class Workers:
    """So many looks at a time, never two at the same job."""

    def __init__(
        self,
        queue: WorkQueue,
        count: int,
        metrics: OperatorMetrics,
    ) -> None:
        self._queue = queue
        self._slots = asyncio.Semaphore(count)
        self._metrics = metrics
        self._failures: dict[JobKey, int] = {}

    async def run(self, look: Callable[[JobKey], Awaitable[float | None]]) -> None:
        """Have all jobs in the queue looked at, until cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                key = await self._queue.get()
                await self._slots.acquire()
                group.create_task(self._work(look, key))

    async def give_way(self, key: JobKey) -> None:
        """The children of `key` are made; let those of new jobs go first: people wait for something to begin."""
        self._queue.begun(key)
        if self._queue.has_new:
            self._slots.release()
            try:
                await self._queue.until_none_is_new(LONGEST_WAY_SECONDS)
            finally:
                await self._slots.acquire()

    async def _work(self, look: Callable[[JobKey], Awaitable[float | None]], key: JobKey) -> None:
        began = time.monotonic()
        try:
            wait = await look(key)
            self._failures.pop(key, None)
            result = "success"
        except (ApiError, ClientError, OSError, TimeoutError) as error:
            wait, result = self._after_failure(key, error), "error"
        except Exception:
            # A bug, or an object like none before: one job mustn't stop the others.
            LOGGER.exception("looking at the job failed", extra={"job": "/".join(key)})
            wait, result = self._delay(key), "error"
        finally:
            self._queue.done(key)
            self._slots.release()
        self._metrics.looks.labels(result).observe(time.monotonic() - began)
        if wait is not None:
            self._queue.add_after(key, wait)

    def _after_failure(self, key: JobKey, error: Exception) -> float:
        wait = self._delay(key)
        text, job = f"{error}" or type(error).__name__, "/".join(key)
        LOGGER.warning("the API server didn't do as asked (%s); again in %.1f s", text, wait, extra={"job": job})
        return wait

    def _delay(self, key: JobKey) -> float:
        self._failures[key] = failures = self._failures.get(key, 0) + 1
        return float(min(LONGEST_DELAY_SECONDS, FIRST_DELAY_SECONDS * 2.0 ** (failures - 1)))
