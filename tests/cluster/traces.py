"""What a cluster could leave behind on the host."""

from __future__ import annotations

from pathlib import Path

from pretrain_cluster import cgroups
from pretrain_cluster.machine import TUNABLES
from pretrain_cluster.processes import PROC, all_processes, run
from pretrain_cluster.topology import state_directory, tools_directory

# Where daemons write by themselves. Not /tmp: everybody does.
FOLDERS = ("/etc", "/etc/cni", "/opt", "/run", "/usr/libexec", "/var/cache", "/var/lib", "/var/log", "/dev/shm")


def traces() -> dict[str, object]:
    """What the cluster touches, as it is now: equal before and after, or something was left."""
    return {
        "processes": _processes(),
        "mounts": _mounts(),
        "links": run(["ip", "-oneline", "link"]),
        "addresses": run(["ip", "-oneline", "address", "show", "scope", "global"]),
        "routes": run(["ip", "route", "show", "table", "all"]),
        "packet filters": run(["nft", "list", "ruleset"]),
        "control groups": [str(path) for path in cgroups.hierarchies() if (path / cgroups.ROOT).exists()],
        "kernel settings": {name: _setting(name) for name in (*TUNABLES, "net/ipv4/ip_forward")},
        "folders": {
            folder: sorted(entry.name for entry in Path(folder).iterdir())
            for folder in FOLDERS
            if Path(folder).is_dir()
        },
        "state": state_directory().exists(),
        "unfinished builds": [str(path) for path in tools_directory().glob(".*")],
    }


def _processes() -> list[tuple[str, ...]]:
    """Those that build the cluster's tools, or have its files on their command line or among their mounts."""
    state, unfinished_build = str(state_directory()), f"{tools_directory()}/."
    return [
        found.arguments
        for found in all_processes()
        if any(state in argument or unfinished_build in argument for argument in found.arguments)
        or state in _mounts_of(str(found.pid))
    ]


def _mounts_of(process: str) -> str:
    try:
        return (PROC / process / "mountinfo").read_text()
    except OSError:  # it has ended
        return ""


def _mounts() -> list[str]:
    """Where something is mounted."""
    return sorted(line.split()[4] for line in _mounts_of("self").splitlines())


def _entries(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []


def _setting(name: str) -> str:
    path = PROC / "sys" / name
    return path.read_text().strip() if path.exists() else ""
