"""Workers: so many looks at a time, new jobs first, failures tried again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from pretrain_operator.kubernetes.client import ApiError
from pretrain_operator.kubernetes.memory import Memories
from pretrain_operator.kubernetes.metrics import OperatorMetrics
from pretrain_operator.kubernetes.queue import JobKey, WorkQueue
from pretrain_operator.kubernetes.workers import Workers

KEYS: list[JobKey] = [("team", name) for name in "abcdef"]


async def run_workers(
    queue: WorkQueue, count: int, scenario: Callable[[Workers], Awaitable[None]], look: Callable[..., Awaitable[object]]
) -> None:
    workers = Workers(queue, count, OperatorMetrics(Memories(), queue))
    task = asyncio.create_task(workers.run(lambda key: look(workers, key)))  # type: ignore[arg-type, return-value]
    try:
        await asyncio.wait_for(scenario(workers), 10)
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        queue.close()


def test_no_more_than_so_many_at_a_time() -> None:
    now, most = 0, 0

    async def look(_: Workers, key: JobKey) -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.01)
        now -= 1

    async def scenario(_: Workers) -> None:
        while len(queue) or now:
            await asyncio.sleep(0.01)

    async def main() -> None:
        for key in KEYS:
            queue.add(key)
        await run_workers(queue, 2, scenario, look)

    queue = WorkQueue()
    asyncio.run(main())
    assert most == 2


def test_a_look_gives_way_to_new_jobs() -> None:
    order: list[str] = []

    async def look(workers: Workers, key: JobKey) -> None:
        order.append(f"children of {key[1]}")
        await asyncio.sleep(0.01)
        await workers.give_way(key)
        order.append(f"status of {key[1]}")

    async def scenario(_: Workers) -> None:
        while len(order) < 6:
            await asyncio.sleep(0.01)

    async def main() -> None:
        for key in KEYS[:3]:
            queue.add(key, new=True)
        await run_workers(queue, 1, scenario, look)

    queue = WorkQueue()
    asyncio.run(main())
    assert order[:3] == ["children of a", "children of b", "children of c"]
    assert sorted(order[3:]) == ["status of a", "status of b", "status of c"]


def test_what_failed_is_looked_at_again() -> None:
    looks: list[JobKey] = []

    async def look(_: Workers, key: JobKey) -> None:
        looks.append(key)
        if len(looks) == 1:
            raise ApiError(503, "not now")

    async def scenario(_: Workers) -> None:
        while len(looks) < 2:
            await asyncio.sleep(0.01)

    async def main() -> None:
        queue.add(KEYS[0])
        await run_workers(queue, 4, scenario, look)

    queue = WorkQueue()
    asyncio.run(main())
    assert looks == [KEYS[0], KEYS[0]]
