"""What all trainers of kwok's nodes say: one process on loopback, at the port of a trainer."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Self

from aiohttp import web

from pretrain_api.status import TrainingStatus
from pretrain_api.wire import DEFAULT_HTTP_PORT, TrainerProgress

TOTAL_STEPS = 1000


class Answers:
    """`async with Answers() as answers: answers.progress(…)`."""

    async def __aenter__(self) -> Self:
        self.training(1)
        application = web.Application()
        application.router.add_get("/progress", self._answer)
        self._runner = web.AppRunner(application, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", DEFAULT_HTTP_PORT).start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    def training(self, step: int, state: str = "Training") -> None:
        """Have all trainers say that they are at a step."""
        training = TrainingStatus(
            step=step,
            tokens=step * 2048,
            total_steps=TOTAL_STEPS,
            total_tokens=TOTAL_STEPS * 2048,
            loss=3.0,
            progress_percentage=100 * step / TOTAL_STEPS,
            tokens_per_second=2048.0,
            last_updated_time=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        )
        progress = TrainerProgress.model_validate({"state": state, "training": training})
        self._text = progress.model_dump_json(by_alias=True, exclude_none=True)

    async def _answer(self, _: web.Request) -> web.Response:
        return web.Response(text=self._text, content_type="application/json")
