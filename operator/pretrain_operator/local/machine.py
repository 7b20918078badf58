"""What this machine has: cores, accelerators, free ports."""

from __future__ import annotations

import os
import socket
from pathlib import Path

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "RAYON_NUM_THREADS",
    "POLARS_MAX_THREADS",
)
_GPU_DIRECTORY = Path("/proc/driver/nvidia/gpus")


def available_cores() -> int:
    """Return how many cores this process may use: its affinity, and the control group's quota rounded up."""
    cores = len(os.sched_getaffinity(0))
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
    except (OSError, ValueError):
        return cores  # no control group of version 2, so no quota to see
    if quota == "max":
        return cores
    return max(1, min(cores, -(-int(quota) // int(period))))


def gpu_count() -> int:
    """Return the number of NVIDIA GPUs that may be used, without torch: the driver's list, CUDA_VISIBLE_DEVICES."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return len([entry for entry in visible.split(",") if entry.strip() not in ("", "-1")])
    try:
        return len(list(_GPU_DIRECTORY.iterdir()))
    except OSError:
        return 0


def processes_per_node() -> int:
    """Return how many ranks a trainer runs where the job leaves it open: one a GPU, else two, or one on one core."""
    return gpu_count() or min(2, available_cores())


def thread_environment(processes: int) -> dict[str, str]:
    """Return the variables that divide the cores among `processes` processes at work at the same time."""
    threads = str(max(1, available_cores() // max(1, processes)))
    return dict.fromkeys(THREAD_VARIABLES, threads)


def free_port() -> int:
    """Return a TCP port of the loopback interface that is free now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
