"""Control groups of the nodes: made before the kubelet starts, removed when its machine has ended."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from .processes import wait_until

MOUNT = Path("/sys/fs/cgroup")
ROOT = "pretrain-cluster"
SECONDS_TO_EMPTY = 20.0


def parent(node: str) -> str:
    """The control group that holds all pods of a node, as the kubelet names it."""
    return f"/{ROOT}/{node}"


def create(node: str) -> None:
    """Make a node's control group in every hierarchy."""
    for hierarchy in hierarchies():
        group = hierarchy
        for part in (ROOT, node):
            _delegate(group)
            group = group / part
            group.mkdir(exist_ok=True)
            _inherit_cpus(group)


def remove(node: str | None = None) -> None:
    """Remove a node's control groups, or all of the cluster's, once the kernel has taken the last process out of them.

    Raises:
        ClusterError: something still runs in them.
    """
    below = f"{ROOT}/{node}" if node else ROOT

    def removed() -> bool:
        return all(_removed(hierarchy / below) for hierarchy in hierarchies())

    wait_until(removed, SECONDS_TO_EMPTY, lambda: f"the control group {below}: something still runs in it")


def hierarchies() -> list[Path]:
    """Where control groups are mounted: one hierarchy in version 2, one for each controller in version 1."""
    if (MOUNT / "cgroup.controllers").exists():
        return [MOUNT]
    # Several controllers may share a hierarchy under several names.
    return sorted({entry.resolve() for entry in MOUNT.iterdir() if (entry / "cgroup.procs").exists()})


def _delegate(group: Path) -> None:
    """Version 2: children may use every controller that this group has."""
    controllers = group / "cgroup.controllers"
    if not controllers.exists():
        return
    for controller in controllers.read_text().split():
        with suppress(OSError):  # one that can't be delegated here isn't needed by the kubelet, or it says so itself
            (group / "cgroup.subtree_control").write_text(f"+{controller}")


def _inherit_cpus(group: Path) -> None:
    """Version 1: a new group may use no processor and no memory node until it is told which."""
    for name in ("cpuset.cpus", "cpuset.mems"):
        own, above = group / name, group.parent / name
        if own.exists() and above.exists() and not own.read_text().strip():
            own.write_text(above.read_text())


def _removed(group: Path) -> bool:
    """Remove a group and those below it, the innermost first; False where one is still in use."""
    if not group.exists():
        return True
    below = sorted((path for path in group.rglob("*") if path.is_dir()), key=lambda path: len(path.parts), reverse=True)
    try:
        for path in [*below, group]:
            path.rmdir()
    except OSError:
        return False
    return True
