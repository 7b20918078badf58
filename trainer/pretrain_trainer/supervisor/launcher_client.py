"""The supervisor's end of the launcher: start the process, give orders, hear answers."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from pretrain_trainer.supervisor.launcher import MAX_MESSAGE_BYTES
from pretrain_trainer.supervisor.logs import PipeReader

Answer = dict[str, Any]


class LauncherClient:
    """A launcher process and the socket to it."""

    def __init__(
        self,
        module: str,
        imports: tuple[str, ...],
        environment: dict[str, str],
        on_answer: Callable[[Answer | None], None],
        on_line: Callable[[bytes], None],
    ) -> None:
        """Start the process; must be called in the main thread, which the kernel takes for its parent.

        Args:
            module: What a rank runs.
            imports: Modules to import beforehand; none: ranks are fresh interpreters.
            environment: The environment of the launcher, and so of the ranks.
            on_answer: Called with every answer, and with None when the process is gone.
            on_line: Called with every line of its output.
        """
        self._loop = asyncio.get_running_loop()
        self._on_answer = on_answer
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        output, their_output = os.pipe()
        settings = {"socket": theirs.fileno(), "supervisor": os.getpid(), "module": module, "imports": imports}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "pretrain_trainer.supervisor.launcher", json.dumps(settings)],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=their_output,
            stderr=their_output,
            pass_fds=[theirs.fileno()],
            start_new_session=True,
        )
        theirs.close()
        os.close(their_output)
        self.ready = False
        self._loop.add_reader(self._socket, self._receive)
        watch_pipe(output, on_line)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def start(self, local_rank: int, environment: dict[str, str], stdout: int, stderr: int) -> None:
        """Order a rank, its output to the given descriptors, which stay the caller's."""
        order = json.dumps({"start": local_rank, "environment": environment}).encode()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # `on_answer(None)` follows
            socket.send_fds(self._socket, [order], [stdout, stderr])

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process groups of all ranks."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._socket.sendall(json.dumps({"signal": int(number)}).encode())

    def kill(self) -> None:
        """End it, and with it all ranks; there will be no more answers."""
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket)
            self._socket.close()
        self._process.kill()
        self._process.wait()

    def _receive(self) -> None:
        try:
            data = self._socket.recv(MAX_MESSAGE_BYTES, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except ConnectionResetError:
            data = b""
        if not data:
            self.kill()
            self._on_answer(None)
            return
        answer = json.loads(data)
        self.ready = self.ready or "ready" in answer
        self._on_answer(answer)


def watch_pipe(descriptor: int, on_line: Callable[[bytes], None]) -> None:
    """Pass the lines of a pipe to `on_line` until its end, then close it."""
    loop = asyncio.get_running_loop()
    reader = PipeReader(descriptor, on_line)

    def readable() -> None:
        if not reader.read():
            loop.remove_reader(descriptor)
            os.close(descriptor)

    loop.add_reader(descriptor, readable)
