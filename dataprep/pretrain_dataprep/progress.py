"""Counters of a running process, served over HTTP: /progress, /healthz, /metrics."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from pretrain_api.wire import StageProgress

_LOG_EVERY_SECONDS = 10.0


def log(message: str) -> None:
    """Write a line to the process's log (standard error)."""
    print(message, file=sys.stderr, flush=True)


@dataclass
class Progress:
    """What the process has done so far. Written by the main thread, read by the server's."""

    stage: str
    index: int = 0
    documents_in: int = 0
    documents_out: int = 0
    bytes_in: int = 0
    bytes_total: int = 0
    message: str = ""
    started: float = field(default_factory=time.monotonic)
    _logged: float = field(default_factory=time.monotonic)

    def add(self, documents_in: int = 0, documents_out: int = 0, bytes_in: int = 0) -> None:
        """Count, and say so in the log now and then."""
        self.documents_in += documents_in
        self.documents_out += documents_out
        self.bytes_in += bytes_in
        if time.monotonic() - self._logged > _LOG_EVERY_SECONDS:
            self._logged = time.monotonic()
            log(f"{self.documents_in:,} documents, {self.bytes_in / 1e6:,.1f} MB, {self.speed():.1f} MB/s")

    def say(self, message: str) -> None:
        """Say what a long single step does."""
        self.message = message
        log(message)

    def finish(self) -> None:
        """Say in the log what was done."""
        done = f"{self.stage}: done in {self.seconds():.1f} s"
        if self.documents_in:
            size = f"{self.bytes_in / 1e6:,.1f} MB"
            done += f", {self.documents_in:,} documents ({size}) in, {self.documents_out:,} out"
        log(done)

    def seconds(self) -> float:
        """Return the time since the process began its work."""
        return time.monotonic() - self.started

    def speed(self) -> float:
        """Return MB of input a second."""
        return self.bytes_in / 1e6 / max(self.seconds(), 1e-9)

    def snapshot(self) -> StageProgress:
        """Return the body of /progress."""
        return StageProgress(
            stage=self.stage,
            index=self.index,
            documents_in=self.documents_in,
            documents_out=self.documents_out,
            bytes_in=self.bytes_in,
            bytes_total=self.bytes_total,
            message=self.message,
        )

    def metrics(self) -> str:
        """Return the body of /metrics, in Prometheus' text format."""
        labels = f'{{stage="{self.stage}",index="{self.index}"}}'
        rows = [
            ("pretrain_dataprep_documents_in_total", "counter", "Documents read.", self.documents_in),
            ("pretrain_dataprep_documents_out_total", "counter", "Documents kept.", self.documents_out),
            ("pretrain_dataprep_bytes_in_total", "counter", "Bytes of text read.", self.bytes_in),
            ("pretrain_dataprep_bytes_expected", "gauge", "Bytes to read; 0: not known.", self.bytes_total),
        ]
        return "".join(
            f"# HELP {name} {text}\n# TYPE {name} {kind}\n{name}{labels} {value}\n" for name, kind, text, value in rows
        )


def serve(progress: Progress, port: int, address: str = "") -> ThreadingHTTPServer | None:
    """Serve `progress` from a daemon thread; a port that can't be had is logged: work is worth more than its display.

    Args:
        progress: What is shown.
        port: 0: any.
        address: "": all addresses of this machine.
    """
    try:
        server = ThreadingHTTPServer((address, port), _handler(progress))
    except (OSError, OverflowError) as error:
        log(f"can't serve progress on port {port}: {error}; going on without")
        return None
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="progress", daemon=True).start()
    return server


def _handler(progress: Progress) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            bodies: dict[str, tuple[str, Callable[[], str]]] = {
                "/healthz": ("text/plain", lambda: "ok\n"),
                "/progress": ("application/json", lambda: progress.snapshot().model_dump_json(by_alias=True)),
                "/metrics": ("text/plain; version=0.0.4", progress.metrics),
            }
            if self.path not in bodies:
                self.send_error(404)
                return
            content_type, body = bodies[self.path]
            content = body().encode()
            self.send_response(200)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class' name)
            """Polls aren't worth a line in the log."""

    return Handler
