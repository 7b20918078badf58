"""Links and routes between the host and the machines.

The control plane's machine holds a bridge; the host and each node have a link to it. All of it is inside machines
but the host's end, which goes with its peer.
"""

from __future__ import annotations

import json
from ipaddress import IPv4Network
from pathlib import Path

from .errors import ClusterError
from .machine import Machine
from .processes import run, wait_until
from .topology import (
    CONTROL_PLANE,
    HOST_ADDRESS,
    HOST_LINK,
    MACHINE_NETWORK,
    NODES,
    POD_NETWORK,
    SERVICE_NETWORK,
    NodePlace,
    Place,
)

BRIDGE = "machines"
NODE_LINK = "eth0"


def check_free() -> None:
    """Raises ClusterError where the host uses one of the cluster's networks for something else."""
    routes = json.loads(run(["ip", "-json", "-4", "route", "show", "table", "all"], doing="reading the routes"))
    taken = conflict(routes)
    if taken:
        raise ClusterError(f"{taken}; free it, or use another cluster by KUBECONFIG or CLUSTER=kind")


def conflict(routes: list[dict[str, str]]) -> str:
    """Which of the cluster's networks is in use and where, going by the host's routes; empty where none is."""
    for route in routes:
        if route["dst"] == "default" or route.get("dev") == HOST_LINK:
            continue
        used = IPv4Network(route["dst"], strict=False)
        for wanted in (MACHINE_NETWORK, POD_NETWORK, SERVICE_NETWORK):
            if wanted.overlaps(used):
                return f"the cluster's network {wanted} is in use: {used} is on {route.get('dev', 'no link')}"
    return ""


def connect_host(control_plane: Machine) -> None:
    """Make the control plane's bridge, and the host's link to it with routes to nodes, pods and Services."""
    control_plane.run("ip", "link", "add", BRIDGE, "type", "bridge")
    control_plane.run("ip", "address", "add", _with_prefix(CONTROL_PLANE), "dev", BRIDGE)
    control_plane.run("ip", "link", "set", BRIDGE, "up")
    _link_to_bridge(control_plane, "host", HOST_LINK, None)
    run(["ip", "address", "add", f"{HOST_ADDRESS}/{MACHINE_NETWORK.prefixlen}", "dev", HOST_LINK])
    run(["ip", "link", "set", HOST_LINK, "up"])
    pods = [f"route add {place.pods} via {place.address}" for place in NODES]
    # Nodes turn Services' addresses into pods': the first one does it for the host.
    services = f"route add {SERVICE_NETWORK} via {NODES[0].address}"
    run(["ip", "-batch", "-"], input="\n".join([*pods, services, ""]))
    control_plane.run("ip", "-batch", "-", input="\n".join([*pods, ""]))


def connect_node(control_plane: Machine, machine: Machine, place: NodePlace) -> None:
    """Make a node's link to the bridge, and its routes to the other nodes' pods."""
    _link_to_bridge(control_plane, place.name, NODE_LINK, machine)
    commands = [f"address add {_with_prefix(place)} dev {NODE_LINK}", f"link set {NODE_LINK} up"]
    commands += [f"route add {other.pods} via {other.address}" for other in NODES if other is not place]
    # Packets for Services need a route to reach the filter that rewrites them. There is no default route: no way out.
    commands += [f"route add {SERVICE_NETWORK} via {CONTROL_PLANE.address}"]
    machine.run("ip", "-batch", "-", input="\n".join(commands) + "\n")


def _link_to_bridge(control_plane: Machine, bridge_end: str, other_end: str, other: Machine | None) -> None:
    """A pair of links: one end on the bridge, the other in a machine, or on the host."""
    add = ["ip", "link", "add", other_end]
    if other is not None:
        add += ["netns", _namespace(other)]
    run(
        [*add, "type", "veth", "peer", "name", bridge_end, "netns", _namespace(control_plane)],
        doing=f"linking {bridge_end}",
    )
    control_plane.run("ip", "link", "set", bridge_end, "master", BRIDGE, "up")


def _namespace(machine: Machine) -> str:
    first = machine.first()
    if first is None:
        raise ClusterError(f"the machine {machine.name} doesn't run")
    return str(first.pid)


def _with_prefix(place: Place) -> str:
    return f"{place.address}/{MACHINE_NETWORK.prefixlen}"


def remove_host_link() -> None:
    """Wait until the kernel has removed the host's link; remove it if its peer never reached a machine."""
    link = Path("/sys/class/net") / HOST_LINK
    try:
        wait_until(lambda: not link.exists(), 2.0, lambda: "")
    except ClusterError:
        run(["ip", "link", "delete", HOST_LINK])
