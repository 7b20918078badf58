"""The Debian packages that the local cluster is made of."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from .errors import ClusterError
from .processes import PATH, run
from .progress import Progress

# What each package is for: a program on the path, or a file.
CLUSTER_PACKAGES = {
    "busybox-static": "busybox",
    "conntrack": "conntrack",
    "containerd": "containerd",
    "containernetworking-plugins": "/usr/lib/cni/ptp",
    "iproute2": "ip",
    "iptables": "iptables",
    "nftables": "nft",
    "openssl": "openssl",
    "runc": "runc",
    "util-linux": "nsenter",
}
"""What the cluster itself runs."""

IMAGE_PACKAGES = {"buildah": "buildah", "debootstrap": "debootstrap"}
"""What builds the project's images."""


def missing(packages: dict[str, str]) -> list[str]:
    """The packages of which the file isn't there."""
    return sorted(package for package, wanted in packages.items() if not _present(wanted))


def _present(wanted: str) -> bool:
    return Path(wanted).exists() if wanted.startswith("/") else shutil.which(wanted, path=PATH) is not None


def install(packages: dict[str, str], progress: Progress) -> None:
    """Install those that are missing.

    Raises:
        ClusterError: this isn't root, or not a Debian, or apt-get fails.
    """
    wanted = missing(packages)
    if not wanted:
        return
    command = _apt_get("install", "--no-install-recommends", *wanted)
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise ClusterError(
            f"the cluster needs {', '.join(wanted)}; on Debian and Ubuntu: apt-get install {' '.join(wanted)}"
        )
    progress.step(f"installing {', '.join(wanted)}")
    try:
        run(command, callers_environment=True)
    except ClusterError:  # the lists of packages may be old, or not there yet
        run(_apt_get("update"), callers_environment=True)
        run(command, callers_environment=True)
    still = missing(packages)
    if still:
        raise ClusterError(
            "installed, but not where the cluster looks: " + ", ".join(f"{name} ({packages[name]})" for name in still)
        )


def _apt_get(*arguments: str) -> list[str]:
    return ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-y", "-q", *arguments]
