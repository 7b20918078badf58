"""Processes under measure: what they took of the machine, and what they say in /metrics."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml
from prometheus_client.parser import text_string_to_metric_families

CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
START_SECONDS = 60.0


class Measured:
    """A process: `with Measured(command, log) as process: …`."""

    def __init__(self, command: list[str], log: Path, environment: Mapping[str, str]) -> None:
        self._command, self._log, self._environment = command, log, environment

    def __enter__(self) -> Self:
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                self._command, stdout=output, stderr=output, env={**os.environ, **self._environment}
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    @property
    def resident_bytes(self) -> int:
        """Memory that it has now."""
        return self._status("VmRSS") * 1024

    @property
    def peak_bytes(self) -> int:
        """Most memory that it had."""
        return self._status("VmHWM") * 1024

    @property
    def cpu_seconds(self) -> float:
        """Processor time that it has used."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS

    def _status(self, name: str) -> int:
        lines = Path(f"/proc/{self._process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))

    def said(self) -> str:
        """The end of its log."""
        return self._log.read_text(errors="replace")[-2000:]


class MeasuredOperator(Measured):
    """The project's operator."""

    def __init__(self, kubeconfig: Path, folder: Path, config: Mapping[str, Any]) -> None:
        path = folder / "operator.yaml"
        path.write_text(yaml.safe_dump({"leaderElection": {"enabled": False}, **config}))
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = int(probe.getsockname()[1])
        command = [sys.executable, "-m", "pretrain_operator", "--config", str(path)]
        command += ["--listen", "127.0.0.1", "--port", str(self._port)]
        super().__init__(command, folder / "operator.log", {"KUBECONFIG": str(kubeconfig)})

    def __enter__(self) -> Self:
        super().__enter__()
        deadline = time.monotonic() + START_SECONDS
        while not self.metric("pretrain_operator_leader"):
            if time.monotonic() > deadline:
                raise TimeoutError(f"the operator doesn't start: {self.said()}")
            time.sleep(0.2)
        return self

    def metric(self, name: str, **labels: str) -> float:
        """Return the sum of a metric's samples with these labels; 0 where it doesn't answer yet."""
        return sum(value for _, value in self.samples(name, **labels))

    def samples(self, name: str, **labels: str) -> list[tuple[dict[str, str], float]]:
        """Return the samples of a metric with these labels."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(f"http://127.0.0.1:{self._port}/metrics", timeout=10) as response:
                text = response.read().decode()
        except OSError:
            return []
        return [
            (sample.labels, sample.value)
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        ]


class MeasuredBareHandler(Measured):
    """The peer."""

    def __init__(self, kubeconfig: Path, folder: Path) -> None:
        handler = Path(__file__).with_name("bare_handler.py")
        command = [sys.executable, "-m", "kopf", "run", "--quiet", "--standalone", "--all-namespaces", str(handler)]
        super().__init__(command, folder / "bare.log", {"KUBECONFIG": str(kubeconfig)})
