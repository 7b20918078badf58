"""The control plane: etcd, API server, controller manager and scheduler; DNS and volumes; all in one machine."""

from __future__ import annotations

import ssl
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError

from .certificates import Authority
from .errors import ClusterError
from .machine import Machine
from .processes import run, wait_until
from .topology import API_SERVER, API_SERVER_PORT, API_SERVICE_ADDRESS, CONTROL_PLANE, SERVICE_NETWORK

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
        authority.create()
        service = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"]
        names = [f"DNS:{name}" for name in ("localhost", *service)]
        names += [f"IP:{address}" for address in ("127.0.0.1", API_SERVICE_ADDRESS, CONTROL_PLANE.address)]
        authority.issue("kube-apiserver", "/CN=kube-apiserver", ",".join(names))
        authority.issue("kubelet-client", "/O=system:masters/CN=kube-apiserver-kubelet-client")
        authority.issue("front-proxy-client", "/CN=front-proxy-client")
        for client, subject in _CLIENTS.items():
            authority.kubeconfig(self.kubeconfig(client), API_SERVER, *authority.issue(client, subject))
        self._corefile.write_text(_COREFILE % self.kubeconfig("coredns"))

    @property
    def _corefile(self) -> Path:
        return self.machine.directory / "Corefile"

    def start_etcd(self) -> None:
        """Start etcd on the data that is there."""
        self.machine.start_daemon(
            [
                self.programs["etcd"],
                "--name=pretrain",
                f"--initial-cluster=pretrain={ETCD_PEERS}",
                f"--initial-advertise-peer-urls={ETCD_PEERS}",
                "--data-dir=/var/lib/etcd",
                f"--listen-client-urls={ETCD_CLIENTS}",
                f"--advertise-client-urls={ETCD_CLIENTS}",
                f"--listen-peer-urls={ETCD_PEERS}",
                "--unsafe-no-fsync",  # a cluster that outlives no power cut
                "--log-level=warn",
            ]
        )

    def start_api_server(self) -> None:
        """Start the API server, and wait until it is ready. Raises ClusterError if it isn't."""
        certificates = self.authority.directory
        self.machine.start_daemon(
            [
                self.programs["kube-apiserver"],
                f"--etcd-servers={ETCD_CLIENTS}",
                f"--advertise-address={CONTROL_PLANE.address}",
                f"--secure-port={API_SERVER_PORT}",
                f"--service-cluster-ip-range={SERVICE_NETWORK}",
                f"--client-ca-file={self.authority.certificate}",
                f"--tls-cert-file={certificates}/kube-apiserver.crt",
                f"--tls-private-key-file={certificates}/kube-apiserver.key",
                f"--kubelet-certificate-authority={self.authority.certificate}",
                f"--kubelet-client-certificate={certificates}/kubelet-client.crt",
                f"--kubelet-client-key={certificates}/kubelet-client.key",
                "--kubelet-preferred-address-types=InternalIP",
                "--service-account-issuer=https://kubernetes.default.svc",
                f"--service-account-key-file={self.authority.service_account_public_key}",
                f"--service-account-signing-key-file={self.authority.service_account_key}",
                *self._front_proxy_flags(),
                "--authorization-mode=Node,RBAC",
                "--enable-admission-plugins=NodeRestriction",
                "--allow-privileged",
                f"--default-not-ready-toleration-seconds={LEAVE_LOST_NODE_AFTER_SECONDS}",
                f"--default-unreachable-toleration-seconds={LEAVE_LOST_NODE_AFTER_SECONDS}",
            ]
        )
        self.machine.wait_for_daemon("kube-apiserver", self.api_server_ready)

    def _front_proxy_flags(self) -> list[str]:
        """How the API server shows itself to servers behind it: extension API servers, and webhooks by their pods."""
        certificates = self.authority.directory
        return [
            f"--requestheader-client-ca-file={self.authority.certificate}",
            "--requestheader-allowed-names=front-proxy-client",
            "--requestheader-username-headers=X-Remote-User",
            "--requestheader-group-headers=X-Remote-Group",
            "--requestheader-extra-headers-prefix=X-Remote-Extra-",
            f"--proxy-client-cert-file={certificates}/front-proxy-client.crt",
            f"--proxy-client-key-file={certificates}/front-proxy-client.key",
            "--enable-aggregator-routing",
        ]

    def api_server_ready(self) -> bool:
        """Whether the API server says that it is ready."""
        context = ssl.create_default_context(cafile=str(self.authority.certificate))
        context.load_cert_chain(self.authority.directory / "admin.crt", self.authority.directory / "admin.key")
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )
        return _answers(opener, f"{API_SERVER}/readyz")

    def start_controllers(self) -> None:
        """Start what is part of Kubernetes and works through the API server."""
        manager, scheduler = self.kubeconfig("kube-controller-manager"), self.kubeconfig("kube-scheduler")
        self.machine.start_daemon(
            [
                self.programs["kube-controller-manager"],
                *_clients_of(manager),
                f"--root-ca-file={self.authority.certificate}",
                f"--service-account-private-key-file={self.authority.service_account_key}",
                "--use-service-account-credentials",
                f"--node-monitor-period={NODE_MONITOR_SECONDS}s",
                f"--node-monitor-grace-period={NODE_LOST_AFTER_SECONDS}s",
            ]
        )
        self.machine.start_daemon([self.programs["kube-scheduler"], *_clients_of(scheduler)])

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
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        self.machine.wait_for_daemon(
            "coredns", lambda: _answers(opener, f"http://{CONTROL_PLANE.address}:{DNS_READY_PORT}/ready")
        )

    def kubectl(self, *arguments: str | Path, input: str | None = None) -> str:  # noqa: A002
        """Run kubectl as the administrator, and give its standard output. Raises ClusterError where it fails."""
        if "kubectl" not in self.programs:
            raise ClusterError("there is no cluster: start one by `make cluster`")
        command = [self.programs["kubectl"], f"--kubeconfig={self.kubeconfig('admin')}", *arguments]
        return run(command, input=input, doing=f"kubectl {' '.join(map(str, arguments[:3]))}")


def _clients_of(kubeconfig: Path) -> list[str]:
    """The flags by which a controller finds the API server; it is the only one of its kind, and listens to nobody."""
    flags = [
        f"--{flag}={kubeconfig}" for flag in ("kubeconfig", "authentication-kubeconfig", "authorization-kubeconfig")
    ]
    return [*flags, "--bind-address=127.0.0.1", "--leader-elect=false"]


def _answers(opener: urllib.request.OpenerDirector, url: str) -> bool:
    try:
        with opener.open(url, timeout=5) as response:
            return bool(response.status == 200)
    except (URLError, OSError):
        return False
