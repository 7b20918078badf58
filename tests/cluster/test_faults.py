"""What tests may do to the cluster, and that it then behaves as Kubernetes does."""

from __future__ import annotations

import json

import pytest
from pretrain_cluster import ClusterError, LocalCluster
from pretrain_cluster.control_plane import NODE_LOST_AFTER_SECONDS
from pretrain_cluster.processes import wait_until

from .workload import manifest, pod_once, servers

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


def test_a_node_offers_gpus_that_it_has_not(cluster: LocalCluster) -> None:
    cluster.set_capacity(1, "nvidia.com/gpu", "8")

    def offered() -> bool:
        return cluster.kubectl("get", "node", "node-1", "-o", r"jsonpath={.status.allocatable.nvidia\.com/gpu}") == "8"

    wait_until(offered, 20, lambda: "the node doesn't offer it")


def test_a_small_volume_is_full_when_it_is_full(cluster: LocalCluster, busybox: str, namespace: str) -> None:
    cluster.add_small_volume("small", 1 << 20)
    in_namespace = ("-n", namespace)
    claim = {
        "accessModes": ["ReadWriteMany"],
        "resources": {"requests": {"storage": "1Mi"}},
        "storageClassName": "small",
    }
    write = "dd if=/dev/zero of=/volume/half bs=500000 count=1 && ! dd if=/dev/zero of=/volume/whole bs=1000000 count=1"
    pod = pod_once(busybox, write, claim="small")
    objects = manifest(("v1", "PersistentVolumeClaim", "small", claim), ("v1", "Pod", "writer", pod))
    try:
        cluster.kubectl("apply", *in_namespace, "-f", "-", input=objects)
        done = "--for=jsonpath={.status.phase}=Succeeded"
        cluster.kubectl("wait", *in_namespace, "pod/writer", done, "--timeout=60s")
        assert "No space left on device" in cluster.kubectl("logs", *in_namespace, "writer")
        assert cluster.kubectl("get", "pod", *in_namespace, "writer", "-o", "jsonpath={.spec.nodeName}") == "node-1"
    finally:
        cluster.kubectl("delete", "storageclass/small", "pv/small", "--wait=false")


def test_what_does_not_run_says_so(no_cluster: LocalCluster) -> None:
    with pytest.raises(ClusterError, match="there is no cluster"):
        no_cluster.kubectl("get", "nodes")
    with pytest.raises(ClusterError, match="there is no node 3"):
        no_cluster.stop_node(3)
