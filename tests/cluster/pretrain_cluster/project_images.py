"""The project's own images: built where they are stale, kept as archives, loaded into the nodes."""

from __future__ import annotations

import subprocess
from pathlib import Path

from .errors import ClusterError
from .local import LocalCluster
from .progress import Progress
from .selection import Cluster, ExistingCluster
from .topology import checkout_directory, images_directory

IMAGES = ("operator", "dataprep")


def load_project_images(cluster: Cluster, progress: Progress) -> None:
    """Have the nodes know the images that the chart names by default; nothing is built or loaded that is there.

    Raises:
        ClusterError: an image can't be built or loaded.
    """
    if isinstance(cluster, ExistingCluster):
        progress.step("images: push those of `make images` to a registry that the cluster reaches")
        return
    progress.step("images: building those that are stale")
    archives = build_project_images() if isinstance(cluster, LocalCluster) else build_images(*IMAGES, "trainer")
    for archive in archives:
        progress.step(f"images: loading {archive.name}")
        cluster.load_image(archive)


def build_project_images() -> list[Path]:
    """Build those of the local cluster where they are stale, with a trainer that brings no PyTorch; return archives.

    Raises:
        ClusterError: one can't be built.
    """
    return build_images(*IMAGES, "light-trainer")


def build_images(*names: str) -> list[Path]:
    """Build images where they are stale; return their OCI archives.

    Raises:
        ClusterError: one can't be built.
    """
    command = [str(checkout_directory() / "scripts" / "images"), "--archives", str(images_directory()), *names]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise ClusterError("the images can't be built; the cause is above")
    return [Path(line) for line in done.stdout.splitlines()]
