"""What the local cluster asks of the host: Linux, root and namespaces, and to be the only launcher at work."""

from __future__ import annotations

import fcntl
import os
import platform
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from .errors import ClusterError
from .processes import run, wait_until

SECONDS_FOR_THE_LOCK = 60.0
LEAST_MEMORY_BYTES = 6 << 30
_NAMESPACES = ("--mount", "--uts", "--ipc", "--net", "--pid", "--fork", "--mount-proc")


def check_host() -> None:
    """Raises ClusterError where no local cluster can run."""
    if platform.system() != "Linux":
        raise ClusterError(f"the cluster needs Linux, this is {platform.system()}: use CLUSTER=kind, or KUBECONFIG")
    if os.geteuid() != 0:
        raise ClusterError(
            "the cluster needs root, for namespaces and mounts: run it by sudo, or use CLUSTER=kind, or KUBECONFIG"
        )


def why_not() -> str:
    """Why no local cluster can run here, for tests that are skipped then; empty where one can."""
    try:
        check_host()
        run(
            [
                "unshare",
                *_NAMESPACES,
                "sh",
                "-c",
                "mount -t tmpfs tmpfs /mnt && ip link add one type veth peer name two",
            ]
        )
    except ClusterError as error:
        return f"no cluster can run here: {error}"
    if not os.access("/sys/fs/cgroup", os.W_OK):
        return "no cluster can run here: control groups can't be made"
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if memory < LEAST_MEMORY_BYTES:
        return f"no cluster can run here: it needs {LEAST_MEMORY_BYTES >> 30} GiB of memory"
    return ""


@contextmanager
def only_launcher(lock_file: Path, seconds: float = SECONDS_FOR_THE_LOCK) -> Iterator[None]:
    """One launcher at a time; the lock goes with its holder, however that ends.

    Args:
        lock_file: the file that is locked; it stays.
        seconds: how long to wait for another launcher.

    Raises:
        ClusterError: another one is at work, and doesn't end.
    """
    lock_file.parent.mkdir(parents=True, exist_ok=True)
    busy = "another `make cluster` is at work: wait for it, or end it"
    with lock_file.open("w") as lock:
        wait_until(lambda: _locked(lock), seconds, lambda: busy, 0.2)
        yield


def _locked(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def copy_private(source: Path, target: Path) -> None:
    """Copy a file whole, readable by its owner alone."""
    unfinished = target.with_suffix(".new")
    unfinished.touch(mode=stat.S_IRUSR | stat.S_IWUSR)
    unfinished.write_bytes(source.read_bytes())
    unfinished.replace(target)
