"""The process that starts ranks: forks them from itself, with torch already imported.

Importing torch and DeepSpeed takes seconds; a forked rank starts with both in memory. This process has a single Python
thread and touches no accelerator, so that forking it is safe; where the imports have initialised CUDA all the same, or
can't be done, ranks are started as fresh interpreters instead (fork and exec).

It talks with the supervisor over a socket that keeps message boundaries. Orders: `{"start": localRank, "environment":
{…}}` with the file descriptors of standard output and error, `{"signal": number}`. Answers: `{"ready": {…}}`,
`{"started": localRank, "pid": …}`, `{"exited": localRank, "status": …}` (as `os.waitstatus_to_exitcode` has it).

When the supervisor dies, the kernel kills this process, and with it the ranks.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import runpy
import selectors
import signal
import socket
import sys
import threading
import time
import traceback
from dataclasses import dataclass
from typing import Any

from pretrain_trainer.supervisor.host import become_subreaper, die_with_parent

MAX_MESSAGE_BYTES = 1 << 16


@dataclass(frozen=True)
class LaunchSettings:
    """How ranks are started."""

    socket: int
    """File descriptor."""
    supervisor: int
    """Process id."""
    module: str
    """Run as `python -m module`."""
    imports: tuple[str, ...]
    """Modules to have ready; none: ranks are fresh interpreters."""


@dataclass(frozen=True)
class RankOrder:
    """A rank to be started."""

    local_rank: int
    environment: dict[str, str]
    stdout: int
    stderr: int


class Launcher:
    """Starts ranks, passes signals to them, says how they ended."""

    def __init__(self, settings: LaunchSettings, warm: bool) -> None:
        self._module = settings.module
        self._socket = socket.socket(fileno=settings.socket)
        self._warm = warm
        self._ranks: dict[int, int] = {}
        """Local rank by process id."""

    def serve(self) -> RankOrder | None:
        """Work until the supervisor is gone (None); in a forked child, return the rank that it is to become."""
        reader, writer = socket.socketpair()
        reader.setblocking(False)
        writer.setblocking(False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        with selectors.DefaultSelector() as selector:
            selector.register(self._socket, selectors.EVENT_READ)
            selector.register(reader, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    if key.fileobj is reader:
                        reader.recv(4096)
                        self._reap()
                        continue
                    order = self._receive()
                    if order is None:
                        self._signal(signal.SIGKILL)
                        return None
                    if isinstance(order, RankOrder):
                        if self._fork(order):
                            selector.close()
                            reader.close()
                            writer.close()
                            return order
                    else:
                        self._signal(order)

    def say(self, message: dict[str, Any]) -> None:
        """Tell the supervisor; if it is gone, the next read will show it."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._socket.sendall(json.dumps(message).encode())

    def _receive(self) -> RankOrder | int | None:
        """Return a rank to start, a signal to send, or None when the supervisor is gone."""
        data, descriptors, _, _ = socket.recv_fds(self._socket, MAX_MESSAGE_BYTES, 2)
        if not data:
            return None
        order = json.loads(data)
        if "start" in order:
            return RankOrder(order["start"], order["environment"], *descriptors)
        return int(order["signal"])

    def _fork(self, rank: RankOrder) -> bool:
        """Start a rank; True in the child."""
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            self._socket.close()
            become_session_of_its_own(rank, parent)
            if not self._warm:
                os.execve(sys.executable, [sys.executable, "-m", self._module], os.environ)  # noqa: S606
            return True
        self._ranks[pid] = rank.local_rank
        os.close(rank.stdout)
        os.close(rank.stderr)
        self.say({"started": rank.local_rank, "pid": pid})
        return False

    def _signal(self, number: int) -> None:
        for pid in self._ranks:
            try:
                os.killpg(pid, number)
            except ProcessLookupError:
                # Just forked: it has no group of its own yet. The process exists, since it hasn't been reaped.
                os.kill(pid, number)

    def _reap(self) -> None:
        while ended := _ended_child():
            local_rank = self._ranks.pop(ended, None)
            if local_rank is not None:
                # What the rank has left behind (data loaders) goes with it. Not reaped yet, so its id is still its own.
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(ended, signal.SIGKILL)
            _, status = os.waitpid(ended, 0)
            if local_rank is not None:
                self.say({"exited": local_rank, "status": os.waitstatus_to_exitcode(status)})


def _ended_child() -> int | None:
    try:
        ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return None
    return ended.si_pid if ended else None


def become_session_of_its_own(rank: RankOrder, parent: int) -> None:
    """In the child: a process group of its own, output to its pipes, signals as in a fresh interpreter."""
    os.setsid()
    die_with_parent(parent)
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    for descriptor, standard in ((rank.stdout, 1), (rank.stderr, 2)):
        os.dup2(descriptor, standard)
        os.close(descriptor)
    os.environ.update(rank.environment)
    draw_new_seeds()


def draw_new_seeds() -> None:
    """Don't let ranks share the random state of the process they were forked from; `random` sees to itself."""
    if torch := sys.modules.get("torch"):
        torch.default_generator.seed()
    if numpy := sys.modules.get("numpy"):
        numpy.random.seed()


def import_all(names: tuple[str, ...]) -> bool:
    """Import; False (with the traceback on standard error) if one can't be."""
    try:
        for name in names:
            importlib.import_module(name)
    except Exception:  # whatever an import may raise: the ranks will meet it too, and say so
        traceback.print_exc()
        return False
    return True


def can_fork() -> bool:
    """False where a forked child couldn't work: a thread was started, or CUDA was initialised, by the imports."""
    if threading.active_count() > 1:
        return False
    torch = sys.modules.get("torch")
    if torch is None or torch.version.cuda is None:
        return True
    pid = os.fork()
    if pid == 0:
        os._exit(int(torch.cuda._is_in_bad_fork()))
    _, status = os.waitpid(pid, 0)
    return status == 0 or torch.cuda.device_count() == 0


def main() -> None:
    """Serve the supervisor; in a child, be the rank."""
    given = json.loads(sys.argv[1])
    settings = LaunchSettings(given["socket"], given["supervisor"], given["module"], tuple(given["imports"]))
    die_with_parent(settings.supervisor)
    become_subreaper()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    began = time.monotonic()
    warm = bool(settings.imports) and import_all(settings.imports) and can_fork()
    gc.collect()
    gc.freeze()  # keeps the collector of the ranks from copying pages that they share with this process
    launcher = Launcher(settings, warm)
    launcher.say({"ready": {"warm": warm, "seconds": round(time.monotonic() - began, 3)}})
    if launcher.serve() is not None:
        sys.argv[1:] = []
        runpy.run_module(settings.module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
