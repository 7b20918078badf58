"""Files of a job's storage, which only pods can reach: read through one of them.

A pod of the job that runs is used; where there is none, a short-lived pod that mounts the claim read-only.
"""

from __future__ import annotations

import io
import json
import secrets
import tarfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kubernetes.client import CoreV1Api
from kubernetes.client.exceptions import ApiException
from kubernetes.stream import stream
from kubernetes.stream.ws_client import ERROR_CHANNEL, STDERR_CHANNEL, STDOUT_CHANNEL

from pretrain_api.names import LABEL_COMPONENT, LABEL_JOB, Component
from pretrain_cli.cluster.connection import Connection, Object, unreachable
from pretrain_cli.cluster.jobs import pods_of
from pretrain_cli.errors import UsageError
from pretrain_operator.kubernetes.manifests.pod import STORAGE_PATH, USER_ID

READER_SECONDS = 300
"""A reader pod that nobody deletes ends itself after that time."""
START_SECONDS = 60.0
LOOK_SECONDS = 0.25
READER = "reader"
# Writes the files that are there as a compressed archive to its standard output.
_PROGRAM = """
import os, sys, tarfile
os.chdir(sys.argv[1])
with tarfile.open(fileobj=sys.stdout.buffer, mode="w|gz") as archive:
    for name in sys.argv[2:]:
        if os.path.exists(name):
            archive.add(name)
"""


def fetch_files(connection: Connection, job: Object, files: Sequence[str], folder: Path, image: str = "") -> None:
    """Copy files of a job's storage into a folder; those that aren't there are left out.

    Args:
        connection: To the job's cluster and namespace.
        job: The PretrainJob.
        files: Paths relative to the storage; of a directory, all that is in it.
        folder: Where to.
        image: Of the reader pod, where one is needed; "": that of the job's own pods.

    Raises:
        UsageError: The storage can't be reached; says why and what to do.
    """
    with _pod_with_storage(connection, job, image) as (pod, container):
        data = _run(connection, pod, container, ["python", "-c", _PROGRAM, STORAGE_PATH, *files])
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as archive:
        archive.extractall(folder, filter="data")


@contextmanager
def _pod_with_storage(connection: Connection, job: Object, image: str) -> Iterator[tuple[str, str]]:
    """Yield the names of a running pod and its container."""
    pods = pods_of(connection, job["metadata"]["name"])
    running = next((pod for pod in pods if _serves(pod)), None)
    if running is not None:
        yield running["metadata"]["name"], running["metadata"]["labels"][LABEL_COMPONENT]
        return
    pod = reader_pod(job, image or _image(connection, job, pods))
    _need_claim(connection, pod)
    path = f"/api/v1/namespaces/{connection.namespace}/pods"
    connection.create(path, pod)
    path = f"{path}/{pod['metadata']['name']}"
    try:
        _wait_until_running(connection, path)
        yield pod["metadata"]["name"], READER
    finally:
        connection.delete(path, grace_seconds=0)


def reader_pod(job: Object, image: str) -> Object:
    """Return a pod that mounts a job's storage read-only and waits.

    It hasn't the job's label: the operator shall not take it for a child.
    """
    claim, path = storage_of(job)
    mount: dict[str, Any] = {"name": "storage", "mountPath": STORAGE_PATH, "readOnly": True}
    if path:
        mount["subPath"] = path
    container = {
        "name": READER,
        "image": image,
        "command": ["python", "-c", f"import time; time.sleep({READER_SECONDS})"],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "256Mi"}},
        "volumeMounts": [mount],
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"{job['metadata']['name'][:40]}-{READER}-{secrets.token_hex(4)}",
            "labels": {
                "app.kubernetes.io/name": "pretrain",
                "app.kubernetes.io/component": READER,
                "app.kubernetes.io/managed-by": "pretrain-cli",
            },
        },
        "spec": {
            "restartPolicy": "Never",
            "activeDeadlineSeconds": READER_SECONDS,
            "terminationGracePeriodSeconds": 1,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": USER_ID,
                "runAsGroup": USER_ID,
                "fsGroup": USER_ID,
                "fsGroupChangePolicy": "OnRootMismatch",
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [container],
            "volumes": [{"name": "storage", "persistentVolumeClaim": {"claimName": claim, "readOnly": True}}],
        },
    }


def storage_of(job: Object) -> tuple[str, str]:
    """Return the claim of a job's storage and the path in it. Raises UsageError where it is no claim."""
    uri = str((job["spec"].get("storage") or {}).get("uri") or "")
    if not uri:
        return f"{job['metadata']['name']}-storage", ""
    if not uri.startswith("pvc://"):
        raise UsageError(f"the storage {uri} is no claim of the cluster; read it where it is")
    claim, _, path = uri.removeprefix("pvc://").partition("/")
    return claim, path.strip("/")


def _serves(pod: Object) -> bool:
    component = pod["metadata"]["labels"].get(LABEL_COMPONENT)
    running = any(
        status["name"] == component and "running" in status.get("state", {})
        for status in pod.get("status", {}).get("containerStatuses", [])
    )
    return running and "deletionTimestamp" not in pod["metadata"]


def _image(connection: Connection, job: Object, pods: list[Object]) -> str:
    """Return an image with Python that the cluster has pulled for the job before."""
    name = job["metadata"]["name"]
    path = f"/apis/batch/v1/namespaces/{connection.namespace}/jobs"
    jobs: list[Object] = connection.get(path, {"labelSelector": f"{LABEL_JOB}={name}"})["items"]
    specs = [each["spec"]["template"]["spec"] for each in jobs] + [
        pod["spec"] for pod in pods if pod["metadata"]["labels"].get(LABEL_COMPONENT) != Component.TRAINER
    ]
    if not specs:
        raise UsageError(
            f"{name} has no pods now through which its storage could be read; give --image, one with Python"
        )
    return str(specs[0]["containers"][0]["image"])


def _need_claim(connection: Connection, pod: Object) -> None:
    claim = pod["spec"]["volumes"][0]["persistentVolumeClaim"]["claimName"]
    path = f"/api/v1/namespaces/{connection.namespace}/persistentvolumeclaims"
    if claim not in {each["metadata"]["name"] for each in connection.get(path)["items"]}:
        raise UsageError(f"there is no claim {claim} in namespace {connection.namespace}, so nothing is stored yet")


def _wait_until_running(connection: Connection, path: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        status = connection.get(path).get("status", {})
        states = [each.get("state", {}) for each in status.get("containerStatuses", [])]
        if any("running" in state for state in states):
            return
        if time.monotonic() > deadline or status.get("phase") in ("Failed", "Succeeded"):
            waits = [state["waiting"] for state in states if "waiting" in state]
            why = "; ".join(f"{each.get('reason')} {each.get('message', '')}".strip() for each in waits)
            unscheduled = [
                each.get("message", "") for each in status.get("conditions", []) if each["status"] == "False"
            ]
            raise UsageError(
                f"the pod that reads the storage doesn't start: {' '.join((why or ' '.join(unscheduled)).split())}; "
                "give another --image, or try again while the job runs"
            )
        time.sleep(LOOK_SECONDS)


def _run(connection: Connection, pod: str, container: str, command: Sequence[str]) -> bytes:
    """Run a command in a container; return its output. Raises UsageError."""
    try:
        client = stream(
            CoreV1Api(connection.api).connect_get_namespaced_pod_exec,
            pod,
            connection.namespace,
            command=list(command),
            container=container,
            stdin=False,
            stdout=True,
            stderr=True,
            tty=False,
            binary=True,
            _preload_content=False,
        )
    except ApiException as error:
        text = " ".join(str(error.reason).split())
        raise UsageError(
            f"can't read the storage through the pod {pod}: {text}; it takes the right to pods/exec"
        ) from error
    except OSError as error:
        raise unreachable(connection.api.configuration.host, error) from error
    output, complaints = bytearray(), bytearray()
    while client.is_open():
        client.update(timeout=1.0)
        output += client.read_channel(STDOUT_CHANNEL)
        complaints += client.read_channel(STDERR_CHANNEL)
    # The API server says at last how the command ended; a connection that broke off says nothing.
    verdict = json.loads(client.read_channel(ERROR_CHANNEL) or "{}")
    if verdict.get("status") != "Success":
        why = complaints.decode(errors="replace").strip().rpartition("\n")[2] or verdict.get("message") or "cut off"
        raise UsageError(f"the storage can't be read in the pod {pod}: {why}; try again")
    return bytes(output)
