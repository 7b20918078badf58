"""/healthz, /readyz and /metrics of the operator."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

HTTP_PORT = 8080


async def serve(
    registry: CollectorRegistry, healthy: Callable[[], str], address: str | None = None, port: int = HTTP_PORT
) -> web.AppRunner:
    """Start the server; `cleanup` of what is returned ends it.

    Args:
        registry: The metrics.
        healthy: Returns what is wrong, an empty text if nothing is.
        address: To listen on; None: all of the machine's.
        port: To listen on.

    Raises:
        OSError: The port is taken.
    """

    async def health(_: web.Request) -> web.Response:
        problem = healthy()
        return web.Response(text=problem or "ok", status=503 if problem else 200)

    async def ready(_: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    application = web.Application()
    application.add_routes([web.get("/healthz", health), web.get("/readyz", ready), web.get("/metrics", metrics)])
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, address, port).start()
    return runner
