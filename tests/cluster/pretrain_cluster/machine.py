"""A machine: namespaces of its own around a first process, in which daemons and containers run."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from .errors import ClusterError
from .processes import Process, all_processes, environment, run, wait_until
from .topology import checkout_directory

SECONDS_TO_START = 20.0
SECONDS_TO_END = 30.0

# The kubelet sets these for the whole kernel, and ends if it can't. It is shown files with the values it wants instead.
TUNABLES = {
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/keys/root_maxbytes": "25000000",
}

# Runs inside the new namespaces, before the first process takes its place.
# $1 the first process's program, $2 the machine's folder, $3 its name.
_PREPARE = """
set -eu
mount --make-rshared /
mount -t tmpfs -o mode=755 tmpfs /run
mkdir /run/checkout
mount --bind "$PRETRAIN_CHECKOUT" /run/checkout
mount -t tmpfs -o mode=1777 tmpfs /tmp
(cd "$2/tunables" && find . -type f) | while read -r tunable; do
    mount --bind "$2/tunables/$tunable" "/proc/sys/$tunable"
done
mount --bind "$2/var" /var
echo "$3" > /proc/sys/kernel/hostname
echo 1 > /proc/sys/net/ipv4/ip_forward
ip link set lo up
exec "$1" "$2"
"""


@dataclass(frozen=True)
class Machine:
    """One machine. Nothing is remembered: whether it runs, and what runs in it, is read from /proc."""

    name: str
    directory: Path
    """Its folder on the host: its /var, and its daemons' logs."""
    first_program: Path
    """The program of its first process: it has to reap orphans, and no more."""

    def start(self) -> None:
        """Start the machine; it goes on without this process.

        Raises:
            ClusterError: the kernel doesn't allow it.
        """
        self._make_folders()
        command = ["unshare", "--mount", "--uts", "--ipc", "--net", "--pid", "--fork", "--mount-proc"]
        # The folder comes last on every command line from here to the first process's own: by it they are found again.
        command += ["--propagation", "private", "sh", "-c", f'set -- "$2" "$3" "$1"; {_PREPARE}', "sh"]
        command += [self.name, str(self.first_program), str(self.directory)]
        log = self.log("machine")
        with log.open("ab") as output:
            started = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**environment(), "PRETRAIN_CHECKOUT": str(checkout_directory())},
                start_new_session=True,
            )
        wait_until(
            lambda: self.first() is not None or started.poll() is not None,
            SECONDS_TO_START,
            lambda: self._failure(log),
            0.01,
        )
        if self.first() is None:
            raise ClusterError(self._failure(log))

    def _make_folders(self) -> None:
        for folder in ("lib", "log", "cache", "tmp"):
            (self.directory / "var" / folder).mkdir(parents=True, exist_ok=True)
        run_link = self.directory / "var" / "run"
        if not run_link.is_symlink():
            run_link.symlink_to("/run")
        (self.directory / "log").mkdir(exist_ok=True)
        for tunable, value in TUNABLES.items():
            path = self.directory / "tunables" / tunable
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{value}\n")

    def _failure(self, log: Path) -> str:
        return f"the machine {self.name} doesn't start: {last_line(log)}; namespaces and mounts need a full root"

    def end(self) -> None:
        """End the machine and all that is in it at once, as a power cut would. Nothing happens if it doesn't run.

        Raises:
            ClusterError: the kernel doesn't end its processes.
        """
        wait_until(self._killed, SECONDS_TO_END, lambda: f"the machine {self.name} doesn't end: {self._processes()}")

    def _killed(self) -> bool:
        processes = self._processes()
        for process in processes:
            process.kill()
        return not processes

    def _processes(self) -> list[Process]:
        """The first process, and what is on its way to becoming it."""
        return [found for found in all_processes() if found.arguments[-1] == str(self.directory)]

    def first(self) -> Process | None:
        """The first process, or None where the machine doesn't run."""
        wanted = (str(self.first_program), str(self.directory))
        return next(
            (found for found in all_processes() if found.arguments == wanted and found.innermost_pid == 1), None
        )

    def command(self, *arguments: str | Path) -> list[str]:
        """The command line that runs a command inside the machine.

        Raises:
            ClusterError: the machine doesn't run.
        """
        first = self.first()
        if first is None:
            raise ClusterError(f"the machine {self.name} doesn't run")
        enter = ["nsenter", "--target", str(first.pid), "--mount", "--uts", "--ipc", "--net", "--pid", "--"]
        return enter + [str(argument) for argument in arguments]

    def run(self, *arguments: str | Path, input: str | IO[bytes] | None = None) -> str:  # noqa: A002
        """Run a command inside to its end, and give its standard output. Raises ClusterError where it fails."""
        return run(self.command(*arguments), input=input, doing=f"{self.name}: {' '.join(map(str, arguments[:4]))}")

    def start_daemon(self, arguments: Sequence[str | Path], restarted: bool = False) -> None:
        """Start a program inside that goes on by itself; its output goes to `log` of its name.

        Args:
            arguments: the command.
            restarted: start it again whenever it ends, as the kubelet of a control plane does.
        """
        command = ["sh", "-c", 'while :; do "$@"; sleep 1; done', "sh", *arguments] if restarted else arguments
        with self.log(Path(arguments[0]).name).open("ab") as output:
            # No parent is left outside the machine: setsid leaves it to the first process.
            subprocess.run(
                self.command("setsid", "--fork", *command),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environment(),
                check=True,
            )

    def daemon(self, name: str) -> Process | None:
        """The process of a program inside, or None where it doesn't run."""
        first = self.first()
        if first is None:
            return None
        inside = (found for found in all_processes() if found.pid_namespace == first.pid_namespace)
        return next((found for found in inside if _program(found) == name), None)

    def kill_daemon(self, name: str) -> None:
        """End a program inside by SIGKILL, and wait until it is gone, its ports with it; there may be none."""
        process = self.daemon(name)
        if process is None:
            return
        process.kill()
        wait_until(process.gone, SECONDS_TO_END, lambda: f"{self.name}: {name} doesn't end", 0.01)

    def wait_for_daemon(self, name: str, ready: Callable[[], bool], seconds: float = 60.0) -> None:
        """Wait until a daemon does its work.

        Raises:
            ClusterError: it has ended, or isn't ready in time: with its log's last line and where to find the rest.
        """

        def ready_or_gone() -> bool:
            return ready() or self.daemon(name) is None

        def failure() -> str:
            return f"{name} of {self.name} isn't ready after {seconds:.0f} s: {self._said(name)}"

        wait_until(ready_or_gone, seconds, failure)
        if not ready():
            raise ClusterError(f"{name} of {self.name} has ended: {self._said(name)}")

    def _said(self, name: str) -> str:
        return f"{last_line(self.log(name))} ({self.log(name)})"

    def log(self, name: str) -> Path:
        """Where a daemon's output is."""
        return self.directory / "log" / f"{name}.log"


def _program(process: Process) -> str:
    """The name of a process's program: also of one that setsid is about to become."""
    about_to_start = process.arguments[:2] == ("setsid", "--fork")
    return Path(process.arguments[2 if about_to_start else 0]).name


def last_line(log: Path) -> str:
    """The last line of a log that says something."""
    try:
        lines = log.read_text(errors="replace").strip().splitlines()
    except FileNotFoundError:
        lines = []
    return lines[-1] if lines else "it wrote nothing"
