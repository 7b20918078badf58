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
    items = [
        _object("apps/v1", "StatefulSet", names, spec),
        _object("v1", "Service", names, _service(names, headless=True)),
        _object("v1", "Service", f"{names}-balanced", _service(names)),
        _object("v1", "PersistentVolumeClaim", f"{names}-shared", claim),
    ]
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items})


def _service(app: str, headless: bool = False) -> dict[str, Any]:
    ports = [{"port": PORT, "targetPort": PORT}]
    return {"selector": {"app": app}, "ports": ports} | ({"clusterIP": "None"} if headless else {})


def _object(api: str, kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": api, "kind": kind, "metadata": {"name": name}, "spec": spec}
