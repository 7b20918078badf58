"""Runs commands, and reads from /proc what runs."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from .errors import ClusterError

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PROC = Path("/proc")


@dataclass(frozen=True)
class Process:
    """A process as /proc shows it."""

    pid: int
    arguments: tuple[str, ...]
    pid_namespace: str
    """Which process namespace it is in, as the kernel names it; empty where that can't be read."""
    innermost_pid: int
    """Its id inside that namespace."""

    def kill(self) -> None:
        """End it by SIGKILL; it may have ended already."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    def alive(self) -> bool:
        """Whether it (not another process that got its id) is still there."""
        found = read_process(self.pid)
        return found is not None and found.arguments == self.arguments

    def gone(self) -> bool:
        """Whether nothing is left of it: one that was killed holds its ports until its last thread has ended."""
        if self.alive():
            return False
        return not (PROC / str(self.pid)).exists() or read_process(self.pid) is not None


def read_process(pid: int) -> Process | None:
    """The process of that id, or None where there is none any more, or only its exit status is left."""
    folder = PROC / str(pid)
    try:
        arguments = tuple(part.decode(errors="replace") for part in (folder / "cmdline").read_bytes().split(b"\0")[:-1])
        namespace = str((folder / "ns" / "pid").readlink())
        status = (folder / "status").read_text()
    except OSError:
        return None
    ids = next((line.split()[1:] for line in status.splitlines() if line.startswith("NSpid:")), [str(pid)])
    return Process(pid, arguments, namespace, int(ids[-1])) if arguments else None


def all_processes() -> Iterator[Process]:
    """Every process with a command line; kernel threads and the dead have none."""
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            found = read_process(int(entry.name))
            if found is not None:
                yield found


def run(
    arguments: Sequence[str | Path],
    *,
    input: str | IO[bytes] | None = None,  # noqa: A002
    doing: str = "",
    callers_environment: bool = False,
    folder: Path | None = None,
) -> str:
    """Run a command to its end, and give its standard output.

    Args:
        arguments: the command.
        input: what it reads: text, or an open file; nothing by default.
        doing: what to say the command was for, should it fail; the command itself by default.
        callers_environment: give it the caller's environment, which says how to reach package servers.
        folder: where it runs; here by default.

    Raises:
        ClusterError: it isn't there, or it failed: with the last line that it wrote.
    """
    words = [str(argument) for argument in arguments]
    doing = doing or " ".join(words)
    source = subprocess.PIPE if isinstance(input, str) else input or subprocess.DEVNULL
    pipe = subprocess.PIPE
    env = dict(os.environ) if callers_environment else environment()
    try:
        with subprocess.Popen(words, stdin=source, stdout=pipe, stderr=pipe, env=env, cwd=folder) as process:
            output, errors = process.communicate(input.encode() if isinstance(input, str) else None)
    except FileNotFoundError as error:
        raise ClusterError(f"{words[0]} is not installed: needed for {doing}") from error
    if process.returncode:
        said = (errors or output).decode(errors="replace").strip().splitlines()
        raise ClusterError(f"{doing}: {said[-1] if said else f'exit status {process.returncode}'}")
    return output.decode(errors="replace")


def environment() -> dict[str, str]:
    """What commands and daemons get: neither proxies nor credentials of the caller's."""
    return {"PATH": PATH, "HOME": str(Path.home()), "LC_ALL": "C.UTF-8"}


def wait_until(done: Callable[[], bool], seconds: float, failure: Callable[[], str], interval: float = 0.05) -> None:
    """Look at a condition until it holds; a look that fails by ClusterError is one at which it doesn't.

    Args:
        done: the condition.
        seconds: how long to look for.
        failure: the message should it never hold; what the last look failed by is added.
        interval: seconds between two looks.

    Raises:
        ClusterError: it didn't hold in time.
    """
    deadline = time.monotonic() + seconds
    while True:
        reason = ""
        try:
            if done():
                return
        except ClusterError as error:
            reason = f": {error}"
        if time.monotonic() > deadline:
            raise ClusterError(f"{failure()}{reason}")
        time.sleep(interval)


def contained(arguments: Sequence[str | Path]) -> list[str | Path]:
    """The command line of a command that ends, with all that it started, when the caller does, however that ends."""
    command: list[str | Path] = ["setpriv", "--pdeathsig", "KILL", "--"]
    if os.geteuid() == 0:  # a process namespace goes with its first process
        command += ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "--"]
    return [*command, *arguments]


def last_lines_of(said: Sequence[str], count: int = 3) -> str:
    """The last few lines of a command's output, as one."""
    return "; ".join(line.strip() for line in said[-count:] if line.strip()) or "it said nothing"
