"""Names, addresses and places of the local cluster. All addresses are on links inside the machines' own namespaces."""

from __future__ import annotations

import os
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from .errors import ClusterError

MACHINE_NETWORK = IPv4Network("10.245.0.0/24")
HOST_ADDRESS = IPv4Address("10.245.0.1")
POD_NETWORK = IPv4Network("10.244.0.0/16")
SERVICE_NETWORK = IPv4Network("10.96.0.0/16")
API_SERVICE_ADDRESS = IPv4Address("10.96.0.1")
DNS_SERVICE_ADDRESS = IPv4Address("10.96.0.10")
API_SERVER_PORT = 6443
HOST_LINK = "pretrain0"
"""The host's end of the link to the machines."""

CHECKOUT_IN_MACHINES = Path("/run/checkout")
CHECKOUT_IN_CONTAINERS = Path("/opt/checkout")
"""Every container sees parts of the checkout there, read-only: the light trainer image is made of them."""
SHOWN_IN_CONTAINERS = (".venv", "api", "trainer")

HIDDEN_FROM_MACHINES = (Path("/var"), Path("/run"), Path("/tmp"))
"""Folders that each machine has for itself, so what lies there on the host can't be used in one."""


@dataclass(frozen=True)
class Place:
    """A machine's name and address."""

    name: str
    address: IPv4Address


@dataclass(frozen=True)
class NodePlace(Place):
    """A node's name and address, and the addresses of its pods."""

    number: int
    pods: IPv4Network


CONTROL_PLANE = Place("control-plane", IPv4Address("10.245.0.2"))
NODES = tuple(
    NodePlace(f"node-{number}", IPv4Address(f"10.245.0.{10 + number}"), number, IPv4Network(f"10.244.{number}.0/24"))
    for number in (1, 2)
)
API_SERVER = f"https://{CONTROL_PLANE.address}:{API_SERVER_PORT}"


def node(number: int) -> NodePlace:
    """The node of that number.

    Raises:
        ClusterError: there is none.
    """
    for place in NODES:
        if place.number == number:
            return place
    raise ClusterError(f"there is no node {number}; there are nodes 1 to {len(NODES)}")


def state_directory() -> Path:
    """Where the running cluster keeps its state, and its kubeconfig.

    Raises:
        ClusterError: the environment puts it where machines can't see it.
    """
    return _visible(_base("XDG_STATE_HOME", ".local/state") / "pretrain" / "cluster")


def tools_directory() -> Path:
    """Where built tools are kept, by version.

    Raises:
        ClusterError: the environment puts it where machines can't see it.
    """
    return _visible(_base("XDG_CACHE_HOME", ".cache") / "pretrain" / "tools")


def images_directory() -> Path:
    """Where archives of the project's images are kept."""
    return _base("XDG_CACHE_HOME", ".cache") / "pretrain" / "images"


def checkout_directory() -> Path:
    """The checkout that this package is in. Machines see it, wherever it is, at CHECKOUT_IN_MACHINES."""
    return Path(__file__).resolve().parents[3]


def _base(variable: str, below_home: str) -> Path:
    return Path(os.environ.get(variable) or Path.home() / below_home).absolute()


def _visible(path: Path) -> Path:
    for hidden in HIDDEN_FROM_MACHINES:
        if path.resolve().is_relative_to(hidden):
            raise ClusterError(
                f"{path}: below {hidden}, which each machine of the cluster has for itself; "
                "set XDG_CACHE_HOME and XDG_STATE_HOME to folders elsewhere"
            )
    return path
