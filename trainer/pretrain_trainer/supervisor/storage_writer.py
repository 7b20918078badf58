"""Writes to the job's storage in a thread of its own: a slow file system never holds up the supervision."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from pretrain_trainer.supervisor.logs import LOGGER


class StorageWriter:
    """Does one thing after the other, in order. What fails is said in the log: bookkeeping never stops training."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="storage")

    def submit(self, work: Callable[..., object], *arguments: Any, **keywords: Any) -> None:
        """Have something done."""
        self._executor.submit(work, *arguments, **keywords).add_done_callback(_log_failure)

    def close(self) -> None:
        """Wait until all is done."""
        self._executor.shutdown(wait=True)


def _log_failure(future: Future[object]) -> None:
    error = future.exception()
    if error is not None:
        LOGGER.error("the job's storage can't be used: %s; restarts and goodput aren't recorded until it can", error)
