"""What the supervisor asks of the machine: processors, GPUs, memory kills, parent and child processes."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import sys
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_CGROUP = Path("/sys/fs/cgroup")


def _prctl(option: int, argument: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, argument, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl({option}) failed")


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when `parent` dies; end at once if it is dead already."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit(f"the parent process {parent} is gone")


def become_subreaper() -> None:
    """Have orphans among the descendants become children of this process, which must reap them."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def usable_processors(cgroup: Path = _CGROUP) -> int:
    """Return the processors this container may use: affinity and CPU quota (cgroup v2, v1); at least 1."""
    allowed = len(os.sched_getaffinity(0))
    quota = _cpu_quota(cgroup)
    return max(1, min(allowed, int(quota))) if quota is not None else allowed


def _cpu_quota(cgroup: Path) -> float | None:
    unified = cgroup / "cpu.max"
    if unified.exists():
        quota, period = unified.read_text().split()
        return None if quota == "max" else int(quota) / int(period)
    legacy = cgroup / "cpu" / "cpu.cfs_quota_us"
    if legacy.exists() and (quota_us := int(legacy.read_text())) > 0:
        return quota_us / int((cgroup / "cpu" / "cpu.cfs_period_us").read_text())
    return None


def memory_kills(cgroup: Path = _CGROUP) -> int:
    """Return how many processes of this container the kernel has killed for want of memory; 0 where it doesn't say."""
    for path in (cgroup / "memory.events", cgroup / "memory" / "memory.oom_control"):
        if path.exists():
            for line in path.read_text().splitlines():
                name, _, value = line.partition(" ")
                if name == "oom_kill":
                    return int(value)
    return 0


def gpu_count(devices: Path = Path("/dev")) -> int:
    """Return the number of NVIDIA GPUs this container sees, without importing torch."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return len([device for device in visible.split(",") if device.strip() and device.strip() != "-1"])
    return sum(1 for path in devices.glob("nvidia*") if path.name.removeprefix("nvidia").isdigit())


def listening_socket(address: str, port: int) -> socket.socket:
    """Listen; on "" for everybody, over IPv6 and IPv4 where the machine has both. Raises OSError."""
    if not address and socket.has_dualstack_ipv6():
        return socket.create_server((address, port), family=socket.AF_INET6, dualstack_ipv6=True)
    return socket.create_server((address, port))


def free_port(address: str) -> int:
    """Return a TCP port that is free now."""
    with listening_socket(address, 0) as server:
        return int(server.getsockname()[1])
