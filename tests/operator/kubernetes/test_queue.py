"""The work queue: each job once, with one worker, and at its time."""

from __future__ import annotations

import asyncio

from pretrain_operator.kubernetes.queue import BURST_JOBS, CALM_SECONDS, GATHER_SECONDS, WorkQueue

A, B = ("team", "a"), ("team", "b")


def test_events_of_a_job_are_one_look() -> None:
    async def scenario() -> None:
        queue = WorkQueue()
        for _ in range(3):
            queue.add(A)
        queue.add(B)
        assert len(queue) == 2
        assert [await queue.get(), await queue.get()] == [A, B]
        assert len(queue) == 0

    asyncio.run(scenario())


def test_a_job_is_looked_at_by_one_worker_at_a_time() -> None:
    async def scenario() -> None:
        queue = WorkQueue()
        queue.add(A)
        assert await queue.get() == A
        queue.add(A)  # something happened while it is looked at
        waiting = asyncio.create_task(queue.get())
        await asyncio.sleep(0)
        assert not waiting.done()
        queue.done(A)
        assert await waiting == A

    asyncio.run(scenario())


def test_the_earliest_of_two_times_counts_and_an_event_comes_before_both() -> None:
    async def scenario() -> None:
        queue = WorkQueue()
        queue.add_after(A, 60)
        queue.add_after(A, 0.01)
        queue.add_after(A, 60)
        assert await asyncio.wait_for(queue.get(), 5) == A
        queue.done(A)
        queue.add_after(B, 60)
        queue.add(B)
        assert await asyncio.wait_for(queue.get(), 5) == B
        queue.close()

    asyncio.run(scenario())


def test_new_jobs_come_before_all_others() -> None:
    async def scenario() -> None:
        queue = WorkQueue()
        queue.add(A)
        queue.add(B, new=True)
        assert queue.has_new
        assert [await queue.get(), await queue.get()] == [B, A]
        assert queue.has_new, "it has no children yet"
        queue.begun(B)
        assert not queue.has_new

    asyncio.run(scenario())


def test_waiting_for_new_jobs_ends_with_the_last_one_or_in_time() -> None:
    async def scenario() -> None:
        queue = WorkQueue()
        await queue.until_none_is_new(60)
        queue.add(A, new=True)
        waiting = asyncio.create_task(queue.until_none_is_new(60))
        await asyncio.sleep(0)
        assert not waiting.done()
        await queue.until_none_is_new(0.01)
        queue.done(await queue.get())
        await asyncio.wait_for(waiting, 5)

    asyncio.run(scenario())


def test_a_burst_of_new_jobs_lasts_until_none_has_come_for_a_while() -> None:
    async def scenario() -> None:
        queue = WorkQueue()
        for number in range(BURST_JOBS - 1):
            queue.add(("team", str(number)), new=True)
            queue.done(await queue.get())
        assert not queue.has_new, "a few"
        queue.add(A, new=True)
        queue.done(await queue.get())
        assert queue.has_new, "all have their children, and more will come"
        began = asyncio.get_running_loop().time()
        await queue.until_none_is_new(60)
        assert asyncio.get_running_loop().time() - began >= 0.9 * CALM_SECONDS
        assert not queue.has_new

    asyncio.run(scenario())


def test_a_swarm_of_events_is_one_look() -> None:
    async def scenario() -> None:
        queue = WorkQueue()
        queue.note(A)
        assert len(queue) == 0, "the rest of the swarm is on its way"
        await asyncio.sleep(GATHER_SECONDS / 2)
        queue.note(A)
        assert await asyncio.wait_for(queue.get(), 5) == A
        queue.done(A)
        await asyncio.sleep(2 * GATHER_SECONDS)
        assert len(queue) == 0

    asyncio.run(scenario())
