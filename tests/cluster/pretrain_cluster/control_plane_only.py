"""A control plane without nodes, on loopback: etcd, API server, controllers; pods of kwok's nodes, where wanted.

It needs no root, clashes with no other, and lives as long as the process that started it.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from . import daemons
from .certificates import Authority
from .errors import ClusterError
from .machine import last_line
from .processes import environment, run, wait_until
from .progress import Progress
from .tools import CLUSTER_MODULES, MORE_MODULES, build
from .topology import tools_directory

SECONDS_TO_START = 60.0
TRIES = 3
"""A port that was free may be somebody else's a moment later."""
_CONTROLLERS = {
    "admin": "/O=system:masters/CN=kubernetes-admin",
    "kube-controller-manager": "/CN=system:kube-controller-manager",
    "kube-scheduler": "/CN=system:kube-scheduler",
}
# Kubernetes' own limits of 20 to 50 requests a second are what a benchmark would measure.
_FAST_CLIENT = ("--kube-api-qps=1000", "--kube-api-burst=2000")
_FAST_CONTROLLERS = ("--concurrent-job-syncs=20", "--concurrent-statefulset-syncs=20", *_FAST_CLIENT)
_NODE_CAPACITY = {"cpu": "1000", "memory": "4Ti", "pods": "10000", "ephemeral-storage": "1Pi"}
STAGES = Path(__file__).parent / "kwok.yaml"


class ControlPlaneOnly:
    """A control plane without nodes: `with ControlPlaneOnly(tmp_path) as plane: plane.kubectl("get", "namespaces")`.

    Start it in the process's main thread: the kernel ends its daemons with the thread that started them.
    """

    def __init__(self, directory: Path, scheduler: bool = False, progress: Progress | None = None) -> None:
        """Prepare one; nothing is started.

        Args:
            directory: where its files are, made for it and removed at the end.
            scheduler: whether to start the scheduler, too: for pods on kwok's nodes.
            progress: where to say what is done while programs are built.
        """
        self.directory = directory / "control-plane"
        self.kubeconfig = self.directory / "admin.kubeconfig"
        self._scheduler = scheduler
        self._progress = progress or Progress()
        self._programs: dict[str, Path] = {}
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}
        self._authority = Authority(self.directory / "certificates")
        self._port = self._etcd_port = self._peers_port = 0

    def __enter__(self) -> Self:
        self.up()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.down()

    def up(self) -> None:
        """Start it, and wait until it serves.

        Raises:
            ClusterError: a program can't be built, or doesn't start.
        """
        self._programs = build(tools_directory(), self._progress, CLUSTER_MODULES)
        with ExitStack() as undo:
            undo.callback(self.down)
            for left in reversed(range(TRIES)):
                try:
                    self._start_storage_and_server()
                    break
                except ClusterError:
                    if not left:
                        raise
                    self.down()
            self._start_controllers()
            undo.pop_all()

    def down(self) -> None:
        """End it at once, and remove its files."""
        for name in reversed(list(self._daemons)):
            self._end(name)
        shutil.rmtree(self.directory, ignore_errors=True)

    @property
    def server(self) -> str:
        """The API server's URL."""
        return f"https://127.0.0.1:{self._port}"

    def kubectl(self, *arguments: str | Path, input: str | None = None) -> str:  # noqa: A002
        """Run kubectl as the administrator, and give its standard output. Raises ClusterError where it fails."""
        if not self.kubeconfig.exists():
            raise ClusterError("the control plane isn't up: call up() first")
        command = [self._programs["kubectl"], f"--kubeconfig={self.kubeconfig}", *arguments]
        return run(command, input=input, doing=f"kubectl {' '.join(map(str, arguments[:3]))}")

    def define(self, definition: Path, plural: str) -> None:
        """Install a CustomResourceDefinition, and wait until its objects can be made. Raises ClusterError."""
        self.kubectl("apply", "--server-side", "-f", definition)

        def served() -> bool:
            try:
                self.kubectl("get", plural)
            except ClusterError:
                return False
            return True

        self._wait_for("kube-apiserver", served)

    def pid(self, daemon: str) -> int:
        """The process id of `etcd`, `kube-apiserver`, `kube-controller-manager`, `kube-scheduler` or `kwok`."""
        return self._daemons[daemon].pid

    def stop_api_server(self) -> None:
        """End the API server at once."""
        self._end("kube-apiserver")

    def start_api_server(self) -> None:
        """Start the API server, and wait until it is ready. Raises ClusterError if it isn't."""
        self._start(
            daemons.api_server(
                self._programs["kube-apiserver"],
                self._authority,
                self._storage.clients,
                self._port,
                "--bind-address=127.0.0.1",
                "--advertise-address=127.0.0.1",
                "--endpoint-reconciler-type=none",  # nobody reaches it by its Service
            )
        )
        self._wait_for("kube-apiserver", lambda: daemons.api_server_ready(self._authority, self.server))

    def restart_etcd(self) -> None:
        """End etcd at once, start it again on its data, and wait until the API server reads from it again."""
        self._end("etcd")
        self._start(self._storage.command())
        self._wait_for("kube-apiserver", self._default_account)

    def add_nodes(self, count: int, stages: Path = STAGES) -> None:
        """Add nodes `kwok-0`, `kwok-1`, …, whose pods exist on paper: they start at once, and those of Jobs complete.

        Args:
            count: how many.
            stages: where pods are to behave otherwise (https://kwok.sigs.k8s.io/docs/user/stages-configuration/).

        Raises:
            ClusterError: kwok can't be built or started, or its nodes don't get ready.
        """
        self._programs |= build(tools_directory(), self._progress, MORE_MODULES[1:])
        self.kubectl("create", "-f", "-", input=json.dumps(_nodes(count)))
        if "kwok" not in self._daemons:
            command = [str(self._programs["kwok"]), f"--kubeconfig={self.kubeconfig}", f"--config={stages}"]
            self._start([*command, "--manage-all-nodes=true", "--node-lease-duration-seconds=40", "--v=WARN"])
        self._wait_for("kwok", lambda: self._ready_nodes() >= count)

    def _ready_nodes(self) -> int:
        template = '{.items[*].status.conditions[?(@.type=="Ready")].status}'
        return self.kubectl("get", "nodes", "-o", f"jsonpath={template}").split().count("True")

    def _start_storage_and_server(self) -> None:
        self._port, self._etcd_port, self._peers_port = _free_ports(3)
        self.directory.mkdir(parents=True, mode=0o700)
        daemons.issue_api_server_certificates(self._authority)
        for client, subject in _CONTROLLERS.items():
            path = self._kubeconfig(client)
            self._authority.kubeconfig(path, self.server, *self._authority.issue(client, subject))
        self._start(self._storage.command())
        self.start_api_server()

    @property
    def _storage(self) -> daemons.Etcd:
        clients, peers = (f"http://127.0.0.1:{port}" for port in (self._etcd_port, self._peers_port))
        return daemons.Etcd(self._programs["etcd"], clients, peers, self.directory / "etcd")

    def _start_controllers(self) -> None:
        manager, programs = self._kubeconfig("kube-controller-manager"), self._programs
        unheard = "--secure-port=0"
        self._start(
            daemons.controller_manager(
                programs["kube-controller-manager"], self._authority, manager, unheard, *_FAST_CONTROLLERS
            )
        )
        if self._scheduler:
            kubeconfig = self._kubeconfig("kube-scheduler")
            self._start(daemons.scheduler(programs["kube-scheduler"], kubeconfig, unheard, *_FAST_CLIENT))
        # Pods can be made once their namespace has its account.
        self._wait_for("kube-controller-manager", self._default_account)

    def _default_account(self) -> bool:
        return bool(self.kubectl("get", "serviceaccounts", "-n", "default", "-o", "name"))

    def _kubeconfig(self, client: str) -> Path:
        return self.directory / f"{client}.kubeconfig"

    def _start(self, command: daemons.Command) -> None:
        name = Path(command[0]).name
        with self._log(name).open("ab") as output:
            self._daemons[name] = subprocess.Popen(
                # The kernel ends it with its starter, however that ends.
                ["setpriv", "--pdeathsig", "KILL", "--", *map(str, command)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self.directory,
                env=environment(),
                start_new_session=True,
            )

    def _end(self, name: str) -> None:
        process = self._daemons.pop(name, None)
        if process is not None:
            process.kill()
            process.wait()

    def _wait_for(self, name: str, ready: Callable[[], bool]) -> None:
        """Wait until a daemon does its work. Raises ClusterError where it ends, or takes too long."""

        def ended() -> bool:
            return any(process.poll() is not None for process in self._daemons.values())

        wait_until(lambda: ended() or ready(), SECONDS_TO_START, lambda: f"{name} isn't ready: {self._said(name)}", 0.1)
        for each, process in self._daemons.items():
            if process.poll() is not None:
                raise ClusterError(f"{each} has ended: {self._said(each)}")

    def _said(self, name: str) -> str:
        return last_line(self._log(name))

    def _log(self, name: str) -> Path:
        return self.directory / f"{name}.log"


def _free_ports(count: int) -> list[int]:
    """Ports on loopback that nobody listens on now."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]


def _nodes(count: int) -> dict[str, Any]:
    items = [
        {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {
                "name": f"kwok-{number}",
                "annotations": {"kwok.x-k8s.io/node": "fake"},
                "labels": {"type": "kwok", "kubernetes.io/hostname": f"kwok-{number}", "kubernetes.io/os": "linux"},
            },
            "status": {"capacity": _NODE_CAPACITY, "allocatable": _NODE_CAPACITY},
        }
        for number in range(count)
    ]
    return {"apiVersion": "v1", "kind": "List", "items": items}
