"""Connecting to node 0 by its name, which a cluster's DNS may not know yet, or know with an address of the past."""

from __future__ import annotations

import asyncio
import socket

from pretrain_trainer.supervisor.logs import LOGGER
from pretrain_trainer.supervisor.settings import World

RESOLVE_SECONDS = 15.0
"""The resolver's own time-out is 5 s a server: with less than two of them, one dead server would look like no name."""
CONNECT_SECONDS = 2.0
"""For each address."""
SAY_AGAIN_SECONDS = 60.0

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def connect(world: World, limit: int) -> Connection:
    """Resolve node 0's name anew, since its pod may have been replaced, and connect to it.

    Args:
        world: Where node 0 is.
        limit: Longest line, in bytes.

    Raises:
        OSError: The name can't be resolved, or nobody listens there.
        TimeoutError: That took too long.
    """
    # Never `asyncio.wait_for`: that of Python 3.11 drops a cancellation that comes together with the result, and then
    # the caller's task, and the whole supervisor with it, would never end.
    async with asyncio.timeout(RESOLVE_SECONDS):
        found = await asyncio.get_running_loop().getaddrinfo(
            world.master_address, world.master_port, type=socket.SOCK_STREAM
        )
    *others, last = dict.fromkeys(str(address[0]) for *_, address in found)
    for address in others:
        try:
            return await _connect(address, world.master_port, limit)
        except OSError:
            continue
    return await _connect(last, world.master_port, limit)


async def _connect(address: str, port: int, limit: int) -> Connection:
    async with asyncio.timeout(CONNECT_SECONDS):
        return await asyncio.open_connection(address, port, limit=limit)


class Complaint:
    """Says why node 0 can't be reached: when that changes, and now and then."""

    def __init__(self, world: World) -> None:
        self._where = f"{world.master_address}:{world.master_port}"
        self._cause: str | None = None
        self._said = float("-inf")

    def say(self, now: float, error: Exception) -> None:
        """An attempt failed."""
        cause = _cause(error)
        if cause != self._cause or now - self._said > SAY_AGAIN_SECONDS:
            LOGGER.info("waiting for node 0 at %s: %s; trying again until it is there", self._where, cause)
            self._cause, self._said = cause, now

    def reached(self) -> None:
        """An attempt succeeded."""
        if self._cause is not None:
            LOGGER.info("node 0 is reached")
        self._cause = None


def _cause(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer"
    if isinstance(error, socket.gaierror):
        return f"its name can't be resolved ({error.strerror})"
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
