"""What runners need of the engine: how to start a process, where things are, whom to wake."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pretrain_api.wire import ENV_CONFIG, ENV_HTTP_ADDRESS, ENV_HTTP_PORT, ENV_STORAGE, StorageLayout
from pretrain_operator.local.machine import thread_environment
from pretrain_operator.local.process import ChildProcess

CommandResolver = Callable[[Sequence[str]], Sequence[str]]


def this_python(command: Sequence[str]) -> Sequence[str]:
    """Run `python …` of a plan with the interpreter that runs the engine."""
    return [sys.executable, *command[1:]] if command[0] == "python" else command


@dataclass(frozen=True)
class ProcessHost:
    """Starts the processes of one run."""

    layout: StorageLayout
    config: Path
    """The resolved job."""
    changed: asyncio.Event
    """Set whenever something happened that the engine should look at."""
    resolve_command: CommandResolver = this_python
    base_environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))

    async def start(
        self, name: str, command: Sequence[str], environment: Mapping[str, str], port: int, side_by_side: int
    ) -> ChildProcess:
        """Start a process of this run; its log is logs/<name>.log.

        Args:
            name: Component and index.
            command: As the plan says.
            environment: What is added to the common variables.
            port: Where it serves its progress.
            side_by_side: Processes among which the cores are divided.
        """
        return await ChildProcess.start(
            list(self.resolve_command(command)),
            {
                **self.base_environment,
                **thread_environment(side_by_side),
                "PYTHONUNBUFFERED": "1",
                ENV_CONFIG: str(self.config),
                ENV_STORAGE: str(self.layout.root),
                ENV_HTTP_ADDRESS: "127.0.0.1",
                ENV_HTTP_PORT: str(port),
                **environment,
            },
            self.layout.logs / f"{name}.log",
        )
