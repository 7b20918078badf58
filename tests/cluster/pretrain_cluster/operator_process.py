"""The operator as a process of this machine, so that it can be killed at any moment."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import yaml

from .processes import wait_until


class OperatorProcess:
    """One operator, through its lives."""

    def __init__(self, kubeconfig: Path, directory: Path, config: dict[str, Any] | None = None) -> None:
        self._kubeconfig = kubeconfig
        self._config = directory / "operator.yaml"
        self._config.write_text(
            yaml.safe_dump({"logFormat": "text", "leaderElection": {"enabled": False}, **(config or {})})
        )
        self.log = directory / "operator.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0

    def start(self) -> None:
        """Start it, unless it runs; `wait_until_serving` waits until it answers."""
        if self._process is not None and self._process.poll() is None:
            return
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        command = [sys.executable, "-m", "pretrain_operator", "--config", str(self._config)]
        command += ["--listen", "127.0.0.1", "--port", str(self._port)]
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                command,
                stdout=output,
                stderr=output,
                env={"KUBECONFIG": str(self._kubeconfig), "PATH": "/usr/bin:/bin", **_packages()},
            )

    def kill(self) -> None:
        """End it at once, as the kernel does when memory runs out."""
        self._end(subprocess.Popen.kill)

    def stop(self) -> int:
        """Tell it to stop; return its exit code."""
        return self._end(subprocess.Popen.terminate)

    def _end(self, how: Any) -> int:
        if self._process is None:
            return 0
        how(self._process)
        code = self._process.wait(30)
        self._process = None
        return code

    def serving(self) -> bool:
        """Does it answer?"""
        try:
            self.get("/healthz")
        except OSError:
            return False
        return True

    def wait_until_serving(self) -> None:
        """Wait until it answers."""
        wait_until(self.serving, 60, lambda: f"the operator doesn't start: {self.log.read_text()[-2000:]}")

    @property
    def address(self) -> str:
        """Host and port at which it serves."""
        return f"127.0.0.1:{self._port}"

    def get(self, path: str) -> str:
        """Return what it serves."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"http://127.0.0.1:{self._port}{path}", timeout=5) as response:
            return str(response.read().decode())


def _packages() -> dict[str, str]:
    """The caller's way to the project's packages, where it isn't the one that they are installed by."""
    path = os.environ.get("PYTHONPATH")
    return {"PYTHONPATH": path} if path else {}
