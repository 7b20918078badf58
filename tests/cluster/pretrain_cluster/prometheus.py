"""A real Prometheus on loopback, of Debian's package, that scrapes what it is told to."""

from __future__ import annotations

import json
import socket
import subprocess
import time
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode

import yaml

from .machine import last_line
from .packages import unpacked
from .processes import environment, wait_until
from .progress import Progress

SECONDS_TO_START = 30.0


class Prometheus:
    """`with Prometheus(folder, scrape_configs, rules) as prometheus: prometheus.query("up")`."""

    def __init__(self, directory: Path, scrape_configs: list[dict[str, Any]], rules: Path) -> None:
        """Prepare one; nothing is started.

        Args:
            directory: where its files are.
            scrape_configs: as in prometheus.yml.
            rules: a file of rules.
        """
        self._directory = directory
        self._started = time.time()
        self._log = directory / "prometheus.log"
        self._config = directory / "prometheus.yml"
        intervals = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        self._config.write_text(
            yaml.safe_dump({"global": intervals, "rule_files": [str(rules)], "scrape_configs": scrape_configs})
        )

    def __enter__(self) -> Self:
        program = unpacked("prometheus", "usr/bin/prometheus", Progress())
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self._server = f"http://127.0.0.1:{port}"
        command = [
            program,
            f"--config.file={self._config}",
            f"--storage.tsdb.path={self._directory / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ]
        with self._log.open("wb") as output:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--", *map(str, command)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environment(),
                cwd=self._directory,
            )
        wait_until(self._ready, SECONDS_TO_START, lambda: f"Prometheus doesn't start: {last_line(self._log)}", 0.2)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.wait(20)

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return what an expression gives now. Raises OSError where Prometheus refuses it."""
        answer = self._get(f"/api/v1/query?{urlencode({'query': expression})}")
        found: list[dict[str, Any]] = answer["data"]["result"]
        return found

    def shows(self, expression: str) -> bool:
        """Tell whether a panel with that query, over all the time since the start, shows anything."""
        span = {"start": self._started, "end": time.time(), "step": 1}
        return bool(self._get(f"/api/v1/query_range?{urlencode({'query': expression, **span})}")["data"]["result"])

    def rules(self) -> list[dict[str, Any]]:
        """Return all rules with their health."""
        groups = self._get("/api/v1/rules")["data"]["groups"]
        return [rule for group in groups for rule in group["rules"]]

    def _ready(self) -> bool:
        try:
            self._open("/-/ready")
        except OSError:
            return False
        return True

    def _get(self, path: str) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self._open(path))
        return answer

    def _open(self, path: str) -> bytes:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(self._server + path, timeout=10) as response:
            body: bytes = response.read()
        return body
