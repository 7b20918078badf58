"""Command lines of the control plane's daemons, and how to ask whether they answer."""

from __future__ import annotations

import ssl
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError

from .certificates import Authority
from .topology import API_SERVICE_ADDRESS, SERVICE_NETWORK

Command = list[str | Path]


@dataclass(frozen=True)
class Etcd:
    """One etcd with its addresses and data."""

    program: Path
    clients: str
    """URL for clients."""
    peers: str
    data: Path

    def command(self) -> Command:
        """Its command line."""
        return [
            self.program,
            "--name=pretrain",
            f"--initial-cluster=pretrain={self.peers}",
            f"--initial-advertise-peer-urls={self.peers}",
            f"--data-dir={self.data}",
            f"--listen-client-urls={self.clients}",
            f"--advertise-client-urls={self.clients}",
            f"--listen-peer-urls={self.peers}",
            "--unsafe-no-fsync",  # a cluster that outlives no power cut
            "--log-level=warn",
        ]


def issue_api_server_certificates(authority: Authority, *addresses: str) -> None:
    """Make the authority, and what the API server shows to clients, kubelets and servers behind it."""
    authority.create()
    service = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"]
    names = [f"DNS:{name}" for name in ("localhost", *service)]
    names += [f"IP:{address}" for address in ("127.0.0.1", str(API_SERVICE_ADDRESS), *addresses)]
    authority.issue("kube-apiserver", "/CN=kube-apiserver", ",".join(names))
    authority.issue("kubelet-client", "/O=system:masters/CN=kube-apiserver-kubelet-client")
    authority.issue("front-proxy-client", "/CN=front-proxy-client")


def api_server(program: Path, authority: Authority, etcd: str, port: int, *more: str) -> Command:
    """The API server's command line; `issue_api_server_certificates` has made its certificates."""
    certificates = authority.directory
    return [
        program,
        f"--etcd-servers={etcd}",
        f"--secure-port={port}",
        f"--service-cluster-ip-range={SERVICE_NETWORK}",
        f"--client-ca-file={authority.certificate}",
        f"--tls-cert-file={certificates}/kube-apiserver.crt",
        f"--tls-private-key-file={certificates}/kube-apiserver.key",
        f"--kubelet-certificate-authority={authority.certificate}",
        f"--kubelet-client-certificate={certificates}/kubelet-client.crt",
        f"--kubelet-client-key={certificates}/kubelet-client.key",
        "--kubelet-preferred-address-types=InternalIP",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={authority.service_account_public_key}",
        f"--service-account-signing-key-file={authority.service_account_key}",
        *_front_proxy_flags(authority),
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged",
        *more,
    ]


def _front_proxy_flags(authority: Authority) -> list[str]:
    """How the API server shows itself to servers behind it: extension API servers, and webhooks by their pods."""
    certificates = authority.directory
    return [
        f"--requestheader-client-ca-file={authority.certificate}",
        "--requestheader-allowed-names=front-proxy-client",
        "--requestheader-username-headers=X-Remote-User",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        f"--proxy-client-cert-file={certificates}/front-proxy-client.crt",
        f"--proxy-client-key-file={certificates}/front-proxy-client.key",
        "--enable-aggregator-routing",
    ]


def controller_manager(program: Path, authority: Authority, kubeconfig: Path, *more: str) -> Command:
    """The controller manager's command line."""
    return [
        program,
        *_clients_of(kubeconfig),
        f"--root-ca-file={authority.certificate}",
        f"--service-account-private-key-file={authority.service_account_key}",
        "--use-service-account-credentials",
        *more,
    ]


def scheduler(program: Path, kubeconfig: Path, *more: str) -> Command:
    """The scheduler's command line."""
    return [program, *_clients_of(kubeconfig), *more]


def _clients_of(kubeconfig: Path) -> list[str]:
    """The flags by which a controller finds the API server; it is the only one of its kind, and listens to nobody."""
    flags = [
        f"--{flag}={kubeconfig}" for flag in ("kubeconfig", "authentication-kubeconfig", "authorization-kubeconfig")
    ]
    return [*flags, "--bind-address=127.0.0.1", "--leader-elect=false"]


def api_server_ready(authority: Authority, server: str) -> bool:
    """Whether the API server of that URL says that it is ready; the authority has signed `admin`."""
    context = ssl.create_default_context(cafile=str(authority.certificate))
    context.load_cert_chain(authority.directory / "admin.crt", authority.directory / "admin.key")
    handlers = (urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
    return answers(f"{server}/readyz", *handlers)


def answers(url: str, *handlers: urllib.request.BaseHandler) -> bool:
    """Whether a server answers with 200, asked without a proxy."""
    opener = urllib.request.build_opener(*(handlers or (urllib.request.ProxyHandler({}),)))
    try:
        with opener.open(url, timeout=5) as response:
            return bool(response.status == 200)
    except (URLError, OSError):
        return False
