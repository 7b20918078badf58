"""Pods for tests: two web servers on two nodes that share a volume."""

from __future__ import annotations

import json
from typing import Any

PORT = 8080
# Nobody's: images run as any user, and restricted pod security wants it so.
_SECURITY = {
    "runAsNonRoot": True,
    "runAsUser": 1000,
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}
_SERVE = f"hostname > /www/name; echo serving as $(hostname); exec httpd -f -p {PORT} -h /www"


def servers(image: str, names: str = "web") -> str:
    """The manifest of two servers `web-0` and `web-1` on different nodes, their Services and their shared claim."""
    container = {
        "name": "server",
        "image": image,
        "command": ["sh", "-c", _SERVE],
        "ports": [{"containerPort": PORT}],
        "readinessProbe": {"httpGet": {"path": "/name", "port": PORT}, "periodSeconds": 1},
        "securityContext": _SECURITY,
        "volumeMounts": [{"name": "www", "mountPath": "/www"}, {"name": "shared", "mountPath": "/shared"}],
    }
    apart = {"labelSelector": {"matchLabels": {"app": names}}, "topologyKey": "kubernetes.io/hostname"}
    pod = {
        "terminationGracePeriodSeconds": 0,
        "affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [apart]}},
        "containers": [container],
        "volumes": [
            {"name": "www", "emptyDir": {}},
            {"name": "shared", "persistentVolumeClaim": {"claimName": f"{names}-shared"}},
        ],
    }
    spec = {
        "serviceName": names,
        "replicas": 2,
        "podManagementPolicy": "Parallel",
        "selector": {"matchLabels": {"app": names}},
        "template": {"metadata": {"labels": {"app": names}}, "spec": pod},
    }
    claim = {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}}
    return manifest(
        ("apps/v1", "StatefulSet", names, spec),
        ("v1", "Service", names, _service(names, headless=True)),
        ("v1", "Service", f"{names}-balanced", _service(names)),
        ("v1", "PersistentVolumeClaim", f"{names}-shared", claim),
    )


def pod_once(image: str, script: str, claim: str) -> dict[str, Any]:
    """The specification of a pod that runs a shell script once, with a claim's volume at /volume."""
    mounts = [{"name": "volume", "mountPath": "/volume"}]
    container = {"name": "script", "image": image, "command": ["sh", "-c", script], "volumeMounts": mounts}
    return {
        "restartPolicy": "Never",
        "containers": [container | {"securityContext": _SECURITY}],
        "volumes": [{"name": "volume", "persistentVolumeClaim": {"claimName": claim}}],
    }


def manifest(*objects: tuple[str, str, str, dict[str, Any]]) -> str:
    """The manifest of objects: API version, kind, name and specification of each."""
    items = [
        {"apiVersion": api, "kind": kind, "metadata": {"name": name}, "spec": spec} for api, kind, name, spec in objects
    ]
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items})


def _service(app: str, headless: bool = False) -> dict[str, Any]:
    ports = [{"port": PORT, "targetPort": PORT}]
    return {"selector": {"app": app}, "ports": ports} | ({"clusterIP": "None"} if headless else {})
