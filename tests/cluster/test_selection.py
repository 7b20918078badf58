"""Which cluster the environment asks for, and where things are."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import pytest
import yaml
from pretrain_cluster import ClusterError, LocalCluster, select, topology
from pretrain_cluster.control_plane import ADDONS
from pretrain_cluster.network import conflict
from pretrain_cluster.selection import ExistingCluster, KindCluster
from pretrain_cluster.topology import CONTROL_PLANE, DNS_SERVICE_ADDRESS, NODES, state_directory


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CLUSTER", "KUBECONFIG", "XDG_STATE_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)


def test_the_local_cluster_is_the_default() -> None:
    assert isinstance(select(), LocalCluster)


def test_a_kubeconfig_of_somebody_elses_is_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    chosen = select()
    assert isinstance(chosen, ExistingCluster)
    assert chosen.kubeconfig == tmp_path / "config"
    with pytest.raises(ClusterError, match=r"config: there is no such file; set KUBECONFIG"):
        chosen.up()


def test_our_own_kubeconfig_is_the_local_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(LocalCluster().kubeconfig))
    assert isinstance(select(), LocalCluster)


@pytest.mark.parametrize(
    ("name", "kind"), [("local", LocalCluster), ("kind", KindCluster), ("existing", ExistingCluster)]
)
def test_cluster_says_which(name: str, kind: type, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLUSTER", name)
    assert isinstance(select(), kind)


def test_an_unknown_cluster_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLUSTER", "minikube")
    with pytest.raises(ClusterError, match="CLUSTER=minikube: there is local, kind and existing"):
        select()


def test_state_is_where_machines_can_see_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/srv/state")
    assert state_directory() == Path("/srv/state/pretrain/cluster")
    monkeypatch.setenv("XDG_STATE_HOME", "/var/lib")
    with pytest.raises(ClusterError, match="XDG_STATE_HOME"):
        state_directory()


def test_networks_and_addresses_are_apart() -> None:
    networks = [topology.MACHINE_NETWORK, topology.POD_NETWORK, topology.SERVICE_NETWORK]
    assert not any(one.overlaps(other) for one, other in combinations(networks, 2))
    addresses = [topology.HOST_ADDRESS, CONTROL_PLANE.address, *(place.address for place in NODES)]
    assert len(set(addresses)) == len(addresses)
    assert all(address in topology.MACHINE_NETWORK for address in addresses)
    assert all(place.pods.subnet_of(topology.POD_NETWORK) for place in NODES)
    assert not NODES[0].pods.overlaps(NODES[1].pods)


def test_a_network_that_the_host_uses_is_found() -> None:
    harmless = [{"dst": "default", "dev": "eth0"}, {"dst": "192.0.2.0/24", "dev": "eth0"}, {"dst": "127.0.0.1"}]
    own = [{"dst": str(topology.POD_NETWORK), "dev": topology.HOST_LINK}]
    assert conflict(harmless + own) == ""
    taken = [{"dst": "10.96.5.0/24", "dev": "docker0"}]
    assert conflict(harmless + taken) == "the cluster's network 10.96.0.0/16 is in use: 10.96.5.0/24 is on docker0"


def test_the_manifest_of_the_addons_has_the_addresses_of_the_code() -> None:
    objects = {item["kind"]: item for item in yaml.safe_load_all(ADDONS.read_text())}
    assert objects["Service"]["spec"]["clusterIP"] == str(DNS_SERVICE_ADDRESS)
    assert objects["EndpointSlice"]["endpoints"][0]["addresses"] == [str(CONTROL_PLANE.address)]
