"""Which cluster to use: the local one, kind's, or one that is there already."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol

from .errors import ClusterError
from .images import images_of
from .local import LocalCluster
from .processes import run
from .progress import Progress
from .topology import state_directory

KIND_NAME = "pretrain"
_KIND_CONFIGURATION = """\
kind: Cluster
apiVersion: kind.x-k8s.io/v1alpha4
nodes: [{role: control-plane}, {role: worker}, {role: worker}]
"""


class Cluster(Protocol):
    """What every kind of cluster can do. Faults (a lost node, a stopped API server) are the local one's alone."""

    kubeconfig: Path

    def up(self) -> None:
        """Have it run. Raises ClusterError if it can't be had."""

    def down(self) -> None:
        """End it, where it was started by `up`."""

    def load_image(self, archive: Path) -> None:
        """Have every node know the images of an OCI archive."""


class KindCluster:
    """A cluster of kind's, three containers of the machine's Docker or Podman."""

    def __init__(self) -> None:
        self.kubeconfig = state_directory().with_name("kind.kubeconfig")

    def up(self) -> None:
        """Create it, unless it is there."""
        self.kubeconfig.parent.mkdir(parents=True, exist_ok=True)
        if KIND_NAME not in self._kind("get", "clusters").split():
            self._kind("create", "cluster", "--wait", "180s", "--config", "-", input=_KIND_CONFIGURATION)
        self._kind("export", "kubeconfig", "--kubeconfig", str(self.kubeconfig))

    def down(self) -> None:
        """Delete it."""
        self._kind("delete", "cluster", "--kubeconfig", str(self.kubeconfig))

    def load_image(self, archive: Path) -> None:
        """Load the images of an OCI archive."""
        self._kind("load", "image-archive", str(archive))

    def _kind(self, *arguments: str, input: str | None = None) -> str:  # noqa: A002
        named = [] if arguments[0] == "get" else ["--name", KIND_NAME]
        return run(["kind", *arguments, *named], input=input, callers_environment=True)


class ExistingCluster:
    """A cluster that somebody else runs: it is used, never started or ended."""

    def __init__(self, kubeconfig: Path) -> None:
        self.kubeconfig = kubeconfig

    def up(self) -> None:
        """Look whether it answers. Raises ClusterError if it doesn't."""
        if not self.kubeconfig.exists():
            raise ClusterError(
                f"{self.kubeconfig}: there is no such file; set KUBECONFIG, or unset CLUSTER to have a cluster started"
            )
        command = ["kubectl", f"--kubeconfig={self.kubeconfig}", "get", "--raw", "/readyz"]
        # The caller's environment: to log in, a kubeconfig may ask for programs that are the caller's.
        run(command, doing=f"asking the cluster of {self.kubeconfig}", callers_environment=True)

    def down(self) -> None:
        """Nothing: it isn't ours to end."""

    def load_image(self, archive: Path) -> None:
        """Raises ClusterError: its nodes fetch images from a registry."""
        names = ", ".join(images_of(archive))
        raise ClusterError(
            f"push {names} to a registry that the cluster of {self.kubeconfig} reaches, and name it to the chart"
        )


def select(progress: Progress | None = None) -> Cluster:
    """The cluster that CLUSTER (`local`, `kind` or `existing`) and KUBECONFIG ask for; the local one by default.

    Raises:
        ClusterError: CLUSTER is something else.
    """
    kubeconfig = os.environ.get("KUBECONFIG", "")
    foreign = bool(kubeconfig) and Path(kubeconfig).absolute() not in {
        state_directory() / "kubeconfig",
        KindCluster().kubeconfig,
    }
    kind = os.environ.get("CLUSTER") or ("existing" if foreign else "local")
    if kind == "local":
        return LocalCluster(progress)
    if kind == "kind":
        return KindCluster()
    if kind == "existing":
        return ExistingCluster(Path(kubeconfig) if kubeconfig else Path.home() / ".kube" / "config")
    raise ClusterError(f"CLUSTER={kind}: there is local, kind and existing")
