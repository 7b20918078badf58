"""A node: containerd, kubelet and kube-proxy in a machine."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from . import cgroups
from .certificates import Authority
from .images import images_of
from .machine import Machine
from .topology import (
    API_SERVER,
    CHECKOUT_IN_CONTAINERS,
    CHECKOUT_IN_MACHINES,
    DNS_SERVICE_ADDRESS,
    POD_NETWORK,
    SHOWN_IN_CONTAINERS,
    NodePlace,
)

CONTAINERD_SOCKET = Path("/run/containerd/containerd.sock")
PAUSE_IMAGE = "localhost/pretrain-pause:1"
PLUGINS = "/usr/lib/cni"
PLUGIN_CONFIGURATION = "/var/lib/cni/net.d"
STATUS_SECONDS = 2
LEASE_SECONDS = 8  # renewed four times as often

_CONTAINERD = f"""\
version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
[grpc]
  address = "{CONTAINERD_SOCKET}"
[plugins."io.containerd.internal.v1.opt"]
  path = "/var/lib/containerd/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE_IMAGE}"
  # Where lowering a process's score isn't permitted, no sandbox would start.
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{PLUGINS}"
    conf_dir = "{PLUGIN_CONFIGURATION}"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    base_runtime_spec = "/run/containerd-base.json"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = false
"""


@dataclass(frozen=True)
class Node:
    """A node's daemons in their machine."""

    place: NodePlace
    machine: Machine
    programs: dict[str, Path]
    """Built tools by name."""
    authority: Authority

    def prepare(self) -> None:
        """Make certificate and configuration; doesn't need the machine."""
        place, directory = self.place, self.machine.directory
        directory.mkdir(parents=True, exist_ok=True)
        subject = f"/O=system:nodes/CN=system:node:{place.name}"
        certificate, key = self.authority.issue(place.name, subject, f"DNS:{place.name},IP:{place.address}")
        self.authority.kubeconfig(directory / "kubelet.kubeconfig", API_SERVER, certificate, key)
        (directory / "containerd.toml").write_text(_CONTAINERD)
        (directory / "resolv.conf").write_text("")  # no way out: pods that ask for the node's own DNS get none
        (directory / "kubelet.yaml").write_text(
            yaml.safe_dump(self._kubelet_configuration(certificate, key), sort_keys=False)
        )
        plugins = directory / "var" / Path(PLUGIN_CONFIGURATION).relative_to("/var")
        plugins.mkdir(parents=True, exist_ok=True)
        (plugins / "10-pods.conflist").write_text(json.dumps(self._plugins()))

    def _plugins(self) -> dict[str, Any]:
        """Each pod has a link of its own to the node: no bridge, so that Services' rewriting sees every packet."""
        addresses = {
            "type": "host-local",
            "ranges": [[{"subnet": str(self.place.pods)}]],
            "routes": [{"dst": "0.0.0.0/0"}],
        }
        ports = {"type": "portmap", "capabilities": {"portMappings": True}}
        return {
            "cniVersion": "1.0.0",
            "name": "pods",
            "plugins": [{"type": "ptp", "ipMasq": False, "ipam": addresses}, ports],
        }

    def _kubelet_configuration(self, certificate: Path, key: Path) -> dict[str, Any]:
        return {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": str(self.place.address),
            "healthzBindAddress": "127.0.0.1",
            "authentication": {
                "anonymous": {"enabled": False},
                "webhook": {"enabled": True},
                "x509": {"clientCAFile": str(self.authority.certificate)},
            },
            "authorization": {"mode": "Webhook"},
            "tlsCertFile": str(certificate),
            "tlsPrivateKeyFile": str(key),
            "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
            "clusterDomain": "cluster.local",
            "clusterDNS": [str(DNS_SERVICE_ADDRESS)],
            "resolvConf": str(self.machine.directory / "resolv.conf"),
            "volumePluginDir": "/var/lib/kubelet/volume-plugins",
            # Control groups of version 1 still serve here, and swap may be on: this is somebody's machine.
            "failCgroupV1": False,
            "failSwapOn": False,
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": cgroups.parent(self.place.name),
            "enforceNodeAllocatable": ["pods"],
            # Images can't be fetched again, and a full disk is the owner's business.
            "imageGCHighThresholdPercent": 100,
            "evictionHard": {"nodefs.available": "1%", "imagefs.available": "1%", "memory.available": "100Mi"},
            "nodeStatusUpdateFrequency": f"{STATUS_SECONDS}s",
            "nodeLeaseDurationSeconds": LEASE_SECONDS,
            # Many short pods on few processors: the defaults of 5 and 10 a second hold them up.
            "kubeAPIQPS": 50,
            "kubeAPIBurst": 100,
            "serializeImagePulls": False,
        }

    def start_container_runtime(self, image_archives: list[Path]) -> None:
        """Start containerd, and load images. Raises ClusterError where it isn't ready in time."""
        self._write_base_specification()
        self.machine.start_daemon(["containerd", "--config", self.machine.directory / "containerd.toml"])
        self.machine.wait_for_daemon("containerd", self._container_runtime_ready)
        for archive in image_archives:
            self.load_image(archive)

    def _write_base_specification(self) -> None:
        """Have every container see the checkout: images of PyTorch's size take minutes to load into each node."""
        specification = json.loads(self.machine.run("ctr", "oci", "spec"))
        # One by one: the checkout itself may be closed to other users, as a folder for temporary files is.
        specification["mounts"] += [
            {
                "destination": str(CHECKOUT_IN_CONTAINERS / part),
                "type": "bind",
                "source": str(CHECKOUT_IN_MACHINES / part),
                "options": ["rbind", "ro"],
            }
            for part in SHOWN_IN_CONTAINERS
        ]
        self.machine.run("tee", "/run/containerd-base.json", input=json.dumps(specification))

    def _container_runtime_ready(self) -> bool:
        first = self.machine.first()
        return first is not None and Path(f"/proc/{first.pid}/root{CONTAINERD_SOCKET}").is_socket()

    def start_kubelet(self) -> None:
        """Start the kubelet: it makes the node known to the API server."""
        cgroups.create(self.place.name)
        directory = self.machine.directory
        self.machine.start_daemon(
            [
                self.programs["kubelet"],
                f"--config={directory / 'kubelet.yaml'}",
                f"--kubeconfig={directory / 'kubelet.kubeconfig'}",
                f"--hostname-override={self.place.name}",
                f"--node-ip={self.place.address}",
                # For placement by topology: each node is a zone of its own.
                f"--node-labels=topology.kubernetes.io/zone=zone-{self.place.number}",
            ]
        )

    def start_service_proxy(self, kubeconfig: Path) -> None:
        """Start kube-proxy: it turns Services' addresses into pods', by nftables."""
        configuration = {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "mode": "nftables",
            "hostnameOverride": self.place.name,
            "clusterCIDR": str(POD_NETWORK),
            "bindAddress": "127.0.0.1",
            "nodePortAddresses": ["primary"],
            "clientConnection": {"kubeconfig": str(kubeconfig)},
            # The kernel's limits stay as they are.
            "conntrack": {"maxPerCore": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
            "nftables": {"minSyncPeriod": "100ms"},
        }
        path = self.machine.directory / "kube-proxy.yaml"
        path.write_text(yaml.safe_dump(configuration, sort_keys=False))
        self.machine.start_daemon([self.programs["kube-proxy"], f"--config={path}"])

    def load_image(self, archive: Path) -> bool:
        """Load the images of an OCI archive; False where they are there. Raises ClusterError where it can't be read."""
        wanted = images_of(archive)
        listed = (line.split() for line in self._ctr("images", "list").splitlines()[1:])
        present = {fields[0]: fields[2] for fields in listed if len(fields) > 2}
        if all(present.get(name) == digest for name, digest in wanted.items()):
            return False
        with archive.open("rb") as content:
            self.machine.run("ctr", "--namespace=k8s.io", "images", "import", "-", input=content)
        return True

    def _ctr(self, *arguments: str) -> str:
        return self.machine.run("ctr", "--namespace=k8s.io", *arguments)
