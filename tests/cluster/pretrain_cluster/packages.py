"""The Debian packages that the local cluster is made of."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from .errors import ClusterError
from .processes import PATH, run
from .progress import Progress
from .topology import tools_directory

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


def unpacked(package: str, program: str, progress: Progress) -> Path:
    """Fetch a package's program without installing the package, so that no service of it starts; return its path.

    Args:
        package: Its name.
        program: Path of the program in the package.
        progress: Where to say what is done.

    Raises:
        ClusterError: it can't be fetched.
    """
    folder = tools_directory() / f"debian-{package}"
    if not (folder / program).exists():
        if shutil.which("apt-get") is None:
            raise ClusterError(f"{program} comes from the Debian package {package}, and this is no Debian")
        progress.step(f"fetching {package}")
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as name:
            _download(package, Path(name))
            (archive,) = Path(name).glob("*.deb")
            run(["dpkg", "-x", archive, folder])
    return folder / program


def _download(package: str, folder: Path) -> None:
    command = ["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", package]
    try:
        run(command, callers_environment=True, folder=folder)
    except ClusterError:  # the lists of packages may be old, or not there yet
        run(_apt_get("update"), callers_environment=True)
        run(command, callers_environment=True, folder=folder)


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
