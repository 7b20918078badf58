"""Asking processes for their progress. A failing poll means nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, ValidationError

if TYPE_CHECKING:
    from aiohttp import ClientSession

Progress = TypeVar("Progress", bound=BaseModel)
TIMEOUT_SECONDS = 2.0


class Poller:
    """One HTTP client for all processes of a run."""

    def __init__(self) -> None:
        self._session: ClientSession | None = None

    async def ask(self, port: int, model: type[Progress]) -> Progress | None:
        """Return the answer of `http://127.0.0.1:<port>/progress`; None: there was none, or not such a one."""
        # Here: a run that finds everything done needs no client, and its import would be most of the waiting.
        from aiohttp import ClientError, ClientSession, ClientTimeout

        if self._session is None:
            self._session = ClientSession(timeout=ClientTimeout(total=TIMEOUT_SECONDS))
        try:
            async with self._session.get(f"http://127.0.0.1:{port}/progress") as response:
                response.raise_for_status()
                return model.model_validate_json(await response.read())
        except (ClientError, OSError, TimeoutError, ValidationError):
            return None

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
