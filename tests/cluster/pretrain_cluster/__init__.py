"""A real Kubernetes for tests and for people: two nodes and a control plane on one Linux machine, from packages.

`select()` gives the cluster that the environment asks for; `LocalCluster` is the one that this package starts itself.
`ControlPlaneOnly` has no nodes: it starts in seconds, for tests of what only talks to the API server.

How the local one is built: each of `control-plane`, `node-1` and `node-2` is a *machine*, that is, a set of
Linux namespaces (processes, mounts, network) around a first process, and every daemon and container of it lives
inside. So to end a machine is to kill its first process: the kernel then ends all its processes, and its mounts,
interfaces, routes and packet filters go with them. Nothing is written down that could be lost: what runs is read
from /proc.
"""

from .control_plane_only import ControlPlaneOnly
from .errors import ClusterError
from .local import LocalCluster
from .selection import Cluster, select

__all__ = ["Cluster", "ClusterError", "ControlPlaneOnly", "LocalCluster", "select"]
