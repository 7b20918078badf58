"""Asks running pods for their progress, again and again; a failing poll means nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from aiohttp import ClientError, ClientSession, ClientTimeout
from pydantic import ValidationError

from pretrain_api.names import Component, Phase
from pretrain_api.wire import DEFAULT_HTTP_PORT, StageProgress, TrainerProgress
from pretrain_operator.kubernetes.memory import JobMemory, Memories
from pretrain_operator.kubernetes.observing import PodView
from pretrain_operator.kubernetes.queue import JobKey
from pretrain_operator.kubernetes.watching import Watched

TIMEOUT_SECONDS = 5.0
TICK_SECONDS = 0.5
QUICK_SECONDS = 2.0
"""Between two polls of a job that is about to change its phase."""
MAX_POLLS_PER_SECOND = 50
"""All jobs together; many jobs are asked less often."""
MAX_PODS_PER_JOB = 8
"""Work items of a stage that are asked; the others count when they have ended."""
MAX_ANSWER_BYTES = 256 * 1024
_QUICK_PHASES = frozenset({Phase.STARTING, Phase.RESTARTING, Phase.RESCALING, Phase.ROLLING_BACK})


class Poller:
    """Polls all jobs' pods."""

    def __init__(
        self,
        watched: Watched,
        memories: Memories,
        changed: Callable[[JobKey], None],
        interval_seconds: float,
        failed: Callable[[], None] = lambda: None,
    ) -> None:
        """Poll what is watched.

        Args:
            watched: Where the pods are.
            memories: Where the answers go.
            changed: Called with a job whose pods said something new.
            interval_seconds: Between two polls of a job.
            failed: Called for every pod that didn't answer.
        """
        self._watched = watched
        self._memories = memories
        self._changed = changed
        self._interval_seconds = interval_seconds
        self._failed = failed
        self._busy: set[JobKey] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Poll until cancelled."""
        async with ClientSession(timeout=ClientTimeout(total=TIMEOUT_SECONDS)) as session:
            try:
                while True:
                    self._start_due(session)
                    await asyncio.sleep(TICK_SECONDS)
            finally:
                for task in self._tasks:
                    task.cancel()
                await asyncio.gather(*self._tasks, return_exceptions=True)

    def _start_due(self, session: ClientSession) -> None:
        now = time.monotonic()
        memories = self._memories.items()
        live = sum(1 for _, memory in memories if memory.progress)
        least = max(self._interval_seconds, live / MAX_POLLS_PER_SECOND)
        for key, memory in memories:
            quick = memory.status is not None and memory.status.phase in _QUICK_PHASES
            pause = min(QUICK_SECONDS, least) if quick else least
            if key not in self._busy and now - memory.polled >= pause:
                memory.polled = now
                pods = self._pods(key, memory)
                if pods:
                    self._busy.add(key)
                    task = asyncio.create_task(self._poll(session, key, memory, pods))
                    self._tasks.add(task)
                    task.add_done_callback(self._tasks.discard)

    def _pods(self, key: JobKey, memory: JobMemory) -> list[PodView]:
        """Return the pods that can tell something: rank 0 of a trainer, the first running ones of a stage."""
        if memory.status is None:
            return []
        pods = [pod for pod in self._watched.pods(key) if pod.running and pod.ip]
        trainers = [pod for pod in pods if pod.component == Component.TRAINER and pod.index == 0]
        return trainers or [pod for pod in pods if pod.component != Component.TRAINER][:MAX_PODS_PER_JOB]

    async def _poll(self, session: ClientSession, key: JobKey, memory: JobMemory, pods: list[PodView]) -> None:
        try:
            answers = await asyncio.gather(*(self._ask(session, pod) for pod in pods))
            for pod, answer in zip(pods, answers, strict=True):
                if answer is not None and memory.progress.get(pod.uid) != answer:
                    memory.progress[pod.uid] = answer
                    self._changed(key)
        finally:
            self._busy.discard(key)

    async def _ask(self, session: ClientSession, pod: PodView) -> StageProgress | TrainerProgress | None:
        model = TrainerProgress if pod.component == Component.TRAINER else StageProgress
        host = f"[{pod.ip}]" if ":" in pod.ip else pod.ip
        try:
            async with session.get(f"http://{host}:{DEFAULT_HTTP_PORT}/progress") as response:
                response.raise_for_status()
                if (response.content_length or 0) > MAX_ANSWER_BYTES:
                    raise ClientError("too long an answer")
                return model.model_validate_json(await response.read())
        except (ClientError, OSError, TimeoutError, ValidationError):
            self._failed()
            return None
