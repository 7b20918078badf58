"""Real supervisors on loopback for the tests."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pretrain_api.resolve import resolved_json
from pretrain_api.spec.job import PretrainJob

HERE = Path(__file__).parent
DEADLINE_SECONDS = 60.0


def free_port() -> int:
    """Return a TCP port that is free now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def write_job(path: Path, max_restarts: int = 20, hang_timeout_seconds: float = 60.0) -> Path:
    """Write a resolved job."""
    job = PretrainJob.model_validate(
        {
            "apiVersion": "pretrain.dev/v1alpha1",
            "kind": "PretrainJob",
            "metadata": {"name": "rehearsal"},
            "spec": {
                "data": {"sources": [{"name": "python", "uri": "sample://python"}]},
                "failurePolicy": {"maxRestarts": max_restarts},
                "stability": {"hangTimeoutSeconds": hang_timeout_seconds},
            },
        }
    )
    path.write_text(resolved_json(job))
    return path


def wait_until(condition: Callable[[], Any], what: str, seconds: float = DEADLINE_SECONDS) -> Any:
    """Poll until `condition` is true; return its value."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.02)


@dataclass
class Node:
    """One supervisor process."""

    process: subprocess.Popen[str]
    http_port: int
    termination_log: Path
    lines: list[str] = field(default_factory=list)

    def read_output(self) -> None:
        """Collect the lines of the process, for the tests and for the report of a failing one."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))

    def get(self, path: str) -> str:
        """GET of an endpoint."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.http_port}{path}", timeout=5) as answer:
            return answer.read().decode()

    def progress(self) -> dict[str, Any]:
        """Return /progress; empty while nobody listens."""
        try:
            return json.loads(self.get("/progress"))
        except OSError:
            return {}

    def step(self) -> int:
        """Return the step of /progress."""
        return self.progress().get("training", {}).get("step") or 0

    def wait(self, seconds: float = DEADLINE_SECONDS) -> int:
        """Return the exit code."""
        return self.process.wait(timeout=seconds)

    def termination(self) -> dict[str, Any]:
        """Return the termination message."""
        return json.loads(self.termination_log.read_text())


class Rehearsals:
    """Supervisors of one job, all ended at the end of the test."""

    def __init__(self, directory: Path) -> None:
        self.storage = directory / "storage"
        self.storage.mkdir()
        self.directory = directory
        self.job = write_job(directory / "job.json")
        self.master_port = free_port()
        self.nodes: list[Node] = []
        self.plan: dict[str, Any] = {"steps": 50, "stepSeconds": 0.01, "checkpointEvery": 5}
        self.environment: dict[str, str] = {"PRETRAIN_STANDBY_IMPORTS": ""}

    def start(self, node_rank: int = 0, num_nodes: int = 1, processes: int = 2, **environment: str) -> Node:
        """Start a supervisor."""
        http_port = free_port()
        termination_log = self.directory / f"termination-{len(self.nodes)}.json"
        variables = {
            **os.environ,
            "PYTHONPATH": str(HERE),
            "PRETRAIN_CONFIG": str(self.job),
            "PRETRAIN_STORAGE": str(self.storage),
            "PRETRAIN_HTTP_PORT": str(http_port),
            "PRETRAIN_TERMINATION_LOG": str(termination_log),
            "PRETRAIN_RANK_MODULE": "rank_program",
            "REHEARSAL": json.dumps(self.plan),
            "PET_NNODES": str(num_nodes),
            "PET_NPROC_PER_NODE": str(processes),
            "PET_NODE_RANK": str(node_rank),
            "PET_MASTER_ADDR": "127.0.0.1",
            "PET_MASTER_PORT": str(self.master_port),
            **self.environment,
            **environment,
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "pretrain_trainer"],
            env=variables,
            cwd=self.directory,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        node = Node(process, http_port, termination_log)
        threading.Thread(target=node.read_output, daemon=True).start()
        self.nodes.append(node)
        return node

    def close(self) -> None:
        """End everything; show the output."""
        for number, node in enumerate(self.nodes):
            if node.process.poll() is None:
                node.process.kill()
            node.process.wait()
            print(f"--- supervisor {number}, exit code {node.process.returncode}")
            print("\n".join(node.lines))

    def finish(self, *nodes: Node) -> list[int]:
        """Let training end; return the exit codes."""
        (self.storage / "enough").touch()
        return [node.wait() for node in nodes]

    def lives(self) -> list[dict[str, Any]]:
        """Return one entry for each life of a rank."""
        path = self.storage / "lives.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def pids(self) -> Iterator[int]:
        """Yield the process ids of all ranks there ever were."""
        return (life["pid"] for life in self.lives())

    def living_rank(self, rank: int) -> int | None:
        """Return the process id of a rank that lives."""
        pids = [life["pid"] for life in self.lives() if life["rank"] == rank and is_alive(life["pid"])]
        return pids[-1] if pids else None

    def events(self) -> list[dict[str, Any]]:
        """Return the ledger."""
        path = self.storage / "ledger.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def checkpoint_step(self) -> int:
        """Return the step of the checkpoint."""
        return json.loads((self.storage / "checkpoint.json").read_text())["step"]

    def overlapped(self) -> bool:
        """Did a rank ever live twice at a time?"""
        return (self.storage / "overlap").exists()


def is_alive(pid: int) -> bool:
    """Does a process exist that isn't a zombie?"""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in {"Z", "X"}


def children(pid: int) -> list[int]:
    """Return the process ids of the children of a process's main thread: of a supervisor, its launcher."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def kill(pid: int) -> None:
    """SIGKILL."""
    os.kill(pid, signal.SIGKILL)
