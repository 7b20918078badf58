"""What tests may do to the cluster, and that it then behaves as Kubernetes does."""

from __future__ import annotations

import json

import pytest
from pretrain_cluster import ClusterError, LocalCluster
from pretrain_cluster.control_plane import NODE_LOST_AFTER_SECONDS
from pretrain_cluster.processes import wait_until

from .workload import servers

pytestmark = pytest.mark.cluster


def _not_ready(cluster: LocalCluster) -> set[str]:
    nodes = json.loads(cluster.kubectl("get", "nodes", "-o", "json"))["items"]
    return {
        node["metadata"]["name"]
        for node in nodes
        if any(found["type"] == "Ready" and found["status"] != "True" for found in node["status"]["conditions"])
    }


def test_a_lost_node_shows_and_comes_back(cluster: LocalCluster, busybox: str, namespace: str) -> None:
    cluster.kubectl("apply", "-n", namespace, "-f", "-", input=servers(busybox))
    cluster.kubectl("rollout", "status", "-n", namespace, "statefulset/web", "--timeout=60s")

    cluster.stop_node(2)
    wait_until(lambda: _not_ready(cluster) == {"node-2"}, 2 * NODE_LOST_AFTER_SECONDS, lambda: "the loss doesn't show")

    cluster.start_node(2)
    cluster.kubectl("rollout", "status", "-n", namespace, "statefulset/web", "--timeout=90s")
    assert _not_ready(cluster) == set()


def test_the_api_server_comes_back_with_everything(cluster: LocalCluster) -> None:
    cluster.kubectl("create", "configmap", "kept", "--from-literal=key=value")
    try:
        cluster.stop_api_server()
        with pytest.raises(ClusterError):
            cluster.kubectl("get", "configmap", "kept")
        cluster.start_api_server()
        assert cluster.kubectl("get", "configmap", "kept", "-o", "jsonpath={.data.key}") == "value"

        cluster.restart_etcd()
        assert cluster.kubectl("get", "configmap", "kept", "-o", "jsonpath={.data.key}") == "value"
    finally:
        cluster.up()
        cluster.kubectl("delete", "configmap", "kept", "--ignore-not-found")


def test_what_does_not_run_says_so(no_cluster: LocalCluster) -> None:
    with pytest.raises(ClusterError, match="there is no cluster"):
        no_cluster.kubectl("get", "nodes")
    with pytest.raises(ClusterError, match="there is no node 3"):
        no_cluster.stop_node(3)
