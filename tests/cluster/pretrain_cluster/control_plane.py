"""The control plane: etcd, API server, controller manager and scheduler; DNS and volumes; all in one machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from . import daemons
from .certificates import Authority
from .errors import ClusterError
from .machine import Machine
from .processes import run, wait_until
from .topology import API_SERVER, API_SERVER_PORT, CONTROL_PLANE

ADDONS = Path(__file__).parent / "addons.yaml"
ETCD_CLIENTS = "http://127.0.0.1:2379"
ETCD_PEERS = "http://127.0.0.1:2380"
DNS_READY_PORT = 8181
SECONDS_TO_APPLY = 30.0
# How soon a lost node shows: the kubelet reports every 2 s (node.py); Kubernetes' own 50 s suit nodes by the thousand.
NODE_MONITOR_SECONDS = 1
NODE_LOST_AFTER_SECONDS = 10
# How long pods stay bound to a lost node before they are deleted; Kubernetes' own is 300 s.
LEAVE_LOST_NODE_AFTER_SECONDS = 30

_CLIENTS = {
    "admin": "/O=system:masters/CN=kubernetes-admin",
    "kube-controller-manager": "/CN=system:kube-controller-manager",
    "kube-scheduler": "/CN=system:kube-scheduler",
    "kube-proxy": "/CN=system:kube-proxy",
    "coredns": "/CN=pretrain:coredns",
    "volumes": "/CN=pretrain:volumes",
}

# No way out: a name that isn't the cluster's doesn't exist.
_COREFILE = f"""\
. {{
    bind {CONTROL_PLANE.address}
    ready {CONTROL_PLANE.address}:{DNS_READY_PORT}
    errors
    kubernetes cluster.local in-addr.arpa {{
        kubeconfig %s
        ttl 1
    }}
    template ANY ANY {{
        rcode NXDOMAIN
    }}
}}
"""


@dataclass(frozen=True)
class ControlPlane:
    """The control plane's daemons in their machine."""

    machine: Machine
    programs: dict[str, Path]
    """Built tools by name."""
    volumes: Path
    """The folder that holds the volumes of all claims, the same on every machine."""

    @property
    def authority(self) -> Authority:
        """The cluster's certificate authority."""
        return Authority(self.machine.directory / "certificates")

    def kubeconfig(self, client: str) -> Path:
        """The kubeconfig of one of the control plane's clients."""
        return self.machine.directory / f"{client}.kubeconfig"

    def prepare(self) -> None:
        """Make certificates and configuration; doesn't need the machine."""
        self.volumes.mkdir(parents=True, exist_ok=True)
        authority = self.authority
        daemons.issue_api_server_certificates(authority, str(CONTROL_PLANE.address))
        for client, subject in _CLIENTS.items():
            authority.kubeconfig(self.kubeconfig(client), API_SERVER, *authority.issue(client, subject))
        self._corefile.write_text(_COREFILE % self.kubeconfig("coredns"))

    @property
    def _corefile(self) -> Path:
        return self.machine.directory / "Corefile"

    def start_etcd(self) -> None:
        """Start etcd on the data that is there."""
        etcd = daemons.Etcd(self.programs["etcd"], ETCD_CLIENTS, ETCD_PEERS, Path("/var/lib/etcd"))
        self.machine.start_daemon(etcd.command())

    def start_api_server(self) -> None:
        """Start the API server, and wait until it is ready. Raises ClusterError if it isn't."""
        self.machine.start_daemon(
            daemons.api_server(
                self.programs["kube-apiserver"],
                self.authority,
                ETCD_CLIENTS,
                API_SERVER_PORT,
                f"--advertise-address={CONTROL_PLANE.address}",
                f"--default-not-ready-toleration-seconds={LEAVE_LOST_NODE_AFTER_SECONDS}",
                f"--default-unreachable-toleration-seconds={LEAVE_LOST_NODE_AFTER_SECONDS}",
            )
        )
        self.machine.wait_for_daemon("kube-apiserver", self.api_server_ready)

    def api_server_ready(self) -> bool:
        """Whether the API server says that it is ready."""
        return daemons.api_server_ready(self.authority, API_SERVER)

    def start_controllers(self) -> None:
        """Start what is part of Kubernetes and works through the API server."""
        self.machine.start_daemon(
            daemons.controller_manager(
                self.programs["kube-controller-manager"],
                self.authority,
                self.kubeconfig("kube-controller-manager"),
                f"--node-monitor-period={NODE_MONITOR_SECONDS}s",
                f"--node-monitor-grace-period={NODE_LOST_AFTER_SECONDS}s",
            ),
            restarted=True,
        )
        # It ends by itself when what it remembers doesn't fit what it sees, as after a lost API server.
        self.machine.start_daemon(
            daemons.scheduler(self.programs["kube-scheduler"], self.kubeconfig("kube-scheduler")), restarted=True
        )

    def start_addons(self) -> None:
        """Start DNS and volumes, once the API server knows what they may do. Raises ClusterError where it fails."""

        def applied() -> bool:
            self.kubectl("apply", "--server-side", "--validate=false", "-f", ADDONS)
            return True

        wait_until(applied, SECONDS_TO_APPLY, lambda: f"the API server doesn't take {ADDONS}", 0.5)
        self.machine.start_daemon([self.programs["coredns"], "-conf", self._corefile])
        self.machine.start_daemon(
            [self.programs["volumes"], f"--kubeconfig={self.kubeconfig('volumes')}", f"--directory={self.volumes}"]
        )

    def wait_for_dns(self) -> None:
        """Wait until names are answered. Raises ClusterError if they aren't."""
        ready = f"http://{CONTROL_PLANE.address}:{DNS_READY_PORT}/ready"
        self.machine.wait_for_daemon("coredns", lambda: daemons.answers(ready))

    def kubectl(self, *arguments: str | Path, input: str | None = None) -> str:  # noqa: A002
        """Run kubectl as the administrator, and give its standard output. Raises ClusterError where it fails."""
        if "kubectl" not in self.programs:
            raise ClusterError("there is no cluster: start one by `make cluster`")
        command = [self.programs["kubectl"], f"--kubeconfig={self.kubeconfig('admin')}", *arguments]
        return run(command, input=input, doing=f"kubectl {' '.join(map(str, arguments[:3]))}")
