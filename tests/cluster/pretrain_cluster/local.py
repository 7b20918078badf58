"""The cluster that this package starts itself, and what tests may do to it."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from . import cgroups, network, packages
from .control_plane import ControlPlane
from .errors import ClusterError
from .host import check_host, copy_private, only_launcher
from .images import write_program_image
from .machine import Machine
from .node import PAUSE_IMAGE, Node
from .processes import run, wait_until
from .progress import Progress
from .tools import build
from .topology import (
    CHECKOUT_IN_MACHINES,
    CONTROL_PLANE,
    NODES,
    checkout_directory,
    node,
    state_directory,
    tools_directory,
)

PROGRAMS_FILE = "programs.json"
SECONDS_TO_READY = 120.0


class LocalCluster:
    """Two nodes and a control plane on this machine. One at a time; needs root.

    Every method reads from the system what runs, so any process may call it, also after one that was killed half-way.
    """

    def __init__(self, progress: Progress | None = None) -> None:
        self._progress = progress or Progress()
        self.directory = state_directory()
        self.kubeconfig = self.directory / "kubeconfig"

    # From nothing to ready, and back

    def up(self) -> None:
        """Start the cluster, or what is missing of it; nothing happens where it runs and is ready.

        Raises:
            ClusterError: something is missing, in use or doesn't start: which, and what to do.
        """
        check_host()
        with only_launcher(self.directory.with_name("cluster.lock")):
            if self.ready():
                return
            self._end()
            packages.install(packages.CLUSTER_PACKAGES | packages.IMAGE_PACKAGES, self._progress)
            programs = build(tools_directory(), self._progress)
            network.check_free()
            self._start(programs)

    def down(self) -> None:
        """End the cluster and remove all that it left; nothing happens where there is none.

        Raises:
            ClusterError: something doesn't end.
        """
        check_host()
        with only_launcher(self.directory.with_name("cluster.lock")):
            self._end()

    def ready(self) -> bool:
        """Whether the cluster runs, with both nodes ready."""
        machines = [self._machine(CONTROL_PLANE.name), *(self._machine(place.name) for place in NODES)]
        if not self.kubeconfig.exists() or any(machine.first() is None for machine in machines):
            return False
        if not self._shows(checkout_directory()):
            return False
        try:
            return self.control_plane.api_server_ready() and self._nodes_ready()
        except ClusterError:
            return False

    def _shows(self, checkout: Path) -> bool:
        """Is it this checkout that the nodes show to containers, or one of the same name that is gone?"""
        first = self._machine(NODES[0].name).first()
        shown = Path(f"/proc/{first.pid}/root{CHECKOUT_IN_MACHINES}") if first is not None else None
        return shown is not None and shown.is_dir() and shown.samefile(checkout)

    def _start(self, programs: dict[str, Path]) -> None:
        self._progress.step("starting the machines")
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        (self.directory / PROGRAMS_FILE).write_text(json.dumps({name: str(path) for name, path in programs.items()}))
        pause = self.directory / "pause.tar"
        write_program_image(pause, PAUSE_IMAGE, programs["pause"], "/pause")
        control_plane = self.control_plane
        control_plane.machine.start()
        network.connect_host(control_plane.machine)
        control_plane.start_etcd()
        control_plane.prepare()
        self._progress.step("starting API server and nodes")
        with ThreadPoolExecutor() as pool:
            api_server = pool.submit(control_plane.start_api_server)
            nodes = [pool.submit(self._start_container_runtime, place.number, pause) for place in NODES]
            api_server.result()
            control_plane.start_controllers()
            addons = pool.submit(control_plane.start_addons)
            for waiting, place in zip(nodes, NODES, strict=True):
                waiting.result()
                self._start_node_daemons(place.number)
            addons.result()
        self._progress.step("waiting for nodes and DNS")
        control_plane.wait_for_dns()
        self._wait_for_nodes()
        # It appears last: where it is, the cluster was ready once.
        copy_private(control_plane.kubeconfig("admin"), self.kubeconfig)
        self._progress.step("ready")

    def _start_container_runtime(self, number: int, pause: Path) -> None:
        place, machine = node(number), self.node(number).machine
        self.node(number).prepare()
        machine.start()
        network.connect_node(self.control_plane.machine, machine, place)
        self.node(number).start_container_runtime([pause])

    def _start_node_daemons(self, number: int) -> None:
        self.node(number).start_kubelet()
        self.node(number).start_service_proxy(self.control_plane.kubeconfig("kube-proxy"))

    def _end(self) -> None:
        """End everything, in the order in which nothing is started anew."""
        for name in (*(place.name for place in NODES), CONTROL_PLANE.name):
            self._machine(name).end()
        network.remove_host_link()
        cgroups.remove()
        # Images unpacked for each node are files by the hundred thousand; nothing is mounted there any more.
        run(["rm", "-rf", "--one-file-system", "--", self.directory], doing=f"removing {self.directory}")

    # What tests use

    @property
    def control_plane(self) -> ControlPlane:
        """The control plane's daemons."""
        return ControlPlane(self._machine(CONTROL_PLANE.name), self._programs(), self.directory / "volumes")

    def node(self, number: int) -> Node:
        """A node's daemons. Raises ClusterError where there is no such node."""
        place = node(number)
        return Node(place, self._machine(place.name), self._programs(), self.control_plane.authority)

    def kubectl(self, *arguments: str | Path, input: str | None = None) -> str:  # noqa: A002
        """Run kubectl as the administrator, and give its standard output. Raises ClusterError where it fails."""
        return self.control_plane.kubectl(*arguments, input=input)

    def load_image(self, archive: Path) -> None:
        """Load the images of an OCI archive into both nodes, where they aren't there yet.

        Raises:
            ClusterError: the archive can't be read, or a node doesn't run.
        """
        with ThreadPoolExecutor() as pool:
            for loading in [pool.submit(self.node(place.number).load_image, archive) for place in NODES]:
                loading.result()

    def stop_node(self, number: int) -> None:
        """Lose a node at once, as by a power cut: its processes and containers are gone, nothing is told to anybody."""
        self.node(number).machine.end()
        cgroups.remove(node(number).name)

    def start_node(self, number: int) -> None:
        """Bring a lost node back, as after a reboot, and wait until it is ready.

        Raises:
            ClusterError: it doesn't get ready.
        """
        self._start_container_runtime(number, self.directory / "pause.tar")
        self._start_node_daemons(number)
        self._wait_for_nodes()

    def stop_api_server(self) -> None:
        """End the API server at once (told to end, it would wait for watches for up to a minute)."""
        self.control_plane.machine.kill_daemon("kube-apiserver")

    def start_api_server(self) -> None:
        """Start the API server again, and wait until it is ready. Raises ClusterError if it isn't."""
        self.control_plane.start_api_server()

    def restart_etcd(self) -> None:
        """End etcd at once, start it again on its data, and wait until the API server is ready again."""
        self.control_plane.machine.kill_daemon("etcd")
        self.control_plane.start_etcd()
        self.control_plane.machine.wait_for_daemon("kube-apiserver", self.control_plane.api_server_ready)

    def set_capacity(self, number: int, resource: str, quantity: str) -> None:
        """Have a node offer a resource that it hasn't, GPUs for example: pods are placed by it, and get nothing."""
        path = f"/status/capacity/{resource.replace('~', '~0').replace('/', '~1')}"
        patch = json.dumps([{"op": "add", "path": path, "value": quantity}])
        self.kubectl("patch", "node", node(number).name, "--subresource=status", "--type=json", f"--patch={patch}")

    def add_small_volume(self, storage_class: str, size_bytes: int) -> None:
        """Offer one volume that is full after so many bytes. It is on the first node, and so are pods that claim it.

        Args:
            storage_class: the class that claims have to name; made for it.
            size_bytes: how much fits, a multiple of the page size.
        """
        place = NODES[0]
        path = self.control_plane.volumes / storage_class
        path.mkdir(parents=True)
        self.node(place.number).machine.run(
            "mount", "-t", "tmpfs", "-o", f"size={size_bytes},mode=777", storage_class, path
        )
        self.kubectl("create", "-f", "-", input=json.dumps(_small_volume(storage_class, size_bytes, path, place.name)))

    # How

    def _machine(self, name: str) -> Machine:
        directory = self.directory / name
        return Machine(name, directory, self._programs().get("pause", directory))

    def _programs(self) -> dict[str, Path]:
        """The tools that the running cluster was started with."""
        try:
            found: dict[str, str] = json.loads((self.directory / PROGRAMS_FILE).read_text())
        except (FileNotFoundError, json.JSONDecodeError):  # none, or its start was cut short here
            return {}
        return {name: Path(path) for name, path in found.items()}

    def _nodes_ready(self) -> bool:
        listed = json.loads(self.kubectl("get", "nodes", "-o", "json"))["items"]
        ready = {item["metadata"]["name"] for item in listed if _condition(item, "Ready") == "True"}
        return ready == {place.name for place in NODES}

    def _wait_for_nodes(self) -> None:
        logs = ", ".join(str(self._machine(place.name).log("kubelet")) for place in NODES)
        wait_until(self._nodes_ready, SECONDS_TO_READY, lambda: f"the nodes don't get ready: see {logs}", 0.3)
        # Pods can be made once their namespace has its account.
        wait_until(
            self._default_account, SECONDS_TO_READY, lambda: "the controller manager makes no service accounts", 0.3
        )

    def _default_account(self) -> bool:
        return bool(self.kubectl("get", "serviceaccounts", "-n", "default", "-o", "name"))


def _condition(item: dict[str, dict[str, list[dict[str, str]]]], kind: str) -> str:
    return next((found["status"] for found in item["status"].get("conditions", []) if found["type"] == kind), "Unknown")


def _small_volume(storage_class: str, size_bytes: int, path: Path, node_name: str) -> dict[str, Any]:
    hostname = {"key": "kubernetes.io/hostname", "operator": "In", "values": [node_name]}
    kind = {"provisioner": "kubernetes.io/no-provisioner", "volumeBindingMode": "WaitForFirstConsumer"}
    spec = {
        "storageClassName": storage_class,
        "capacity": {"storage": str(size_bytes)},
        "accessModes": ["ReadWriteMany", "ReadWriteOnce"],
        "persistentVolumeReclaimPolicy": "Retain",
        "hostPath": {"path": str(path), "type": "Directory"},
        "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [hostname]}]}},
    }
    named = {"metadata": {"name": storage_class}}
    items = [
        {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", **named, **kind},
        {"apiVersion": "v1", "kind": "PersistentVolume", **named, "spec": spec},
    ]
    return {"apiVersion": "v1", "kind": "List", "items": items}
