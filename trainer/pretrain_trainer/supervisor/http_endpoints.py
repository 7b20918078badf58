"""GET /progress, /healthz and /metrics, in threads of their own: a slow reader never holds up the supervision."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from pretrain_trainer.supervisor.host import listening_socket
from pretrain_trainer.supervisor.metrics import Snapshot, registry_of

STALLED_SECONDS = 30.0
"""Without a turn of the main loop for so long, the supervisor isn't healthy."""
_REQUEST_TIMEOUT_SECONDS = 10.0


class Endpoints:
    """The server; it shows what `snapshot` returns."""

    def __init__(self, address: str, port: int, snapshot: Callable[[], Snapshot]) -> None:
        """Listen.

        Raises:
            OSError: The port can't be had.
        """
        registry = registry_of(snapshot)

        class Handler(BaseHTTPRequestHandler):
            timeout = _REQUEST_TIMEOUT_SECONDS

            def do_GET(self) -> None:
                path = self.path.partition("?")[0]
                if path == "/progress":
                    self._answer(200, "application/json", snapshot().progress.model_dump_json(by_alias=True).encode())
                elif path == "/healthz":
                    stalled = time.monotonic() - snapshot().alive
                    healthy = stalled < STALLED_SECONDS
                    text = "ok" if healthy else f"the main loop has been stuck for {stalled:.0f} s"
                    self._answer(200 if healthy else 503, "text/plain", f"{text}\n".encode())
                elif path == "/metrics":
                    self._answer(200, CONTENT_TYPE_LATEST, generate_latest(registry))
                else:
                    self._answer(404, "text/plain", b"try /progress, /healthz or /metrics\n")

            def _answer(self, status: int, content_type: str, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", content_type)
                self.send_header("Content-Length", str(len(body)))
                with suppress(ConnectionError):  # a probe that waits no longer is nothing for the log
                    self.end_headers()
                    self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 the base class's name
                """Keep probes out of the log."""

        self._server = ThreadingHTTPServer((address, port), Handler, bind_and_activate=False)
        self._server.socket.close()
        self._server.socket = listening_socket(address, port)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, name="http", daemon=True).start()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.socket.getsockname()[1])

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
