"""A child process: dies with the engine, writes into a log, leaves a termination message."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pydantic import ValidationError

from pretrain_api.wire import ENV_TERMINATION_LOG, MAX_TERMINATION_MESSAGE_BYTES, TerminationMessage
from pretrain_operator.planning import Ending

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def _die_with(parent: int) -> Callable[[], None]:
    """Return what a child does before it becomes its program: ask the kernel to be killed when the engine dies."""

    def prepare() -> None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it died before the kernel was asked
            os._exit(128 + signal.SIGKILL)

    return prepare


class ChildProcess:
    """One process, in a session of its own, so that Ctrl-C in the terminal reaches the engine alone."""

    def __init__(self, process: asyncio.subprocess.Process, message_file: int, log: Path) -> None:
        self._process = process
        self._message_file = message_file
        self.log = log

    @classmethod
    async def start(cls, command: Sequence[str], environment: Mapping[str, str], log: Path) -> ChildProcess:
        """Start `command`; its output is appended to `log`.

        Its termination message goes to memory of this process, which a full disk doesn't touch.

        Raises:
            OSError: The program or the log can't be opened.
        """
        message_file = os.memfd_create("termination-message")
        try:
            with log.open("ab") as output:
                process = await asyncio.create_subprocess_exec(
                    *command,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=output,
                    stderr=asyncio.subprocess.STDOUT,
                    env={**environment, ENV_TERMINATION_LOG: f"/proc/{os.getpid()}/fd/{message_file}"},
                    start_new_session=True,
                    preexec_fn=_die_with(os.getpid()),  # safe: other threads only wait for children
                )
        except BaseException:
            os.close(message_file)
            raise
        return cls(process, message_file, log)

    async def wait(self) -> Ending:
        """Wait for the end; what it started and left behind is ended, too."""
        try:
            code = await self._process.wait()
            self.kill()
            return Ending(exit_code=code if code >= 0 else 128 - code, message=self._message(), log=str(self.log))
        finally:
            os.close(self._message_file)

    def terminate(self) -> None:
        """Ask it to stop; it tells its own children."""
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()

    def kill(self) -> None:
        """End it and its whole process group at once."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def _message(self) -> TerminationMessage | None:
        content = os.pread(self._message_file, 4 * MAX_TERMINATION_MESSAGE_BYTES, 0)
        try:
            return TerminationMessage.model_validate_json(content)
        except ValidationError:
            return None  # killed before it could say anything, or not a program of ours
