"""PretrainJobs in the cluster: find, list, change, watch."""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus

from pretrain_api.names import LABEL_JOB, PLURAL
from pretrain_api.validation.suggestions import closest
from pretrain_cli.cluster.connection import JOBS, Connection, NoOperatorError, Object, RefusedError
from pretrain_cli.errors import UsageError

WATCH_SECONDS = 300
"""A watch is begun anew after that time: middle boxes end quiet connections."""


class NoSuchJobError(UsageError):
    """There is no job of that name."""


def job_path(namespace: str, name: str = "") -> str:
    """Return the path of a job, or of all of a namespace."""
    path = f"{JOBS}/namespaces/{namespace}/{PLURAL}"
    return f"{path}/{name}" if name else path


def get_job(connection: Connection, name: str) -> Object:
    """Return a job of the connection's namespace.

    Raises:
        NoSuchJobError: There is none; says which there are.
        UsageError: The server refused it or doesn't answer.
    """
    try:
        return connection.get(job_path(connection.namespace, name))
    except RefusedError as error:
        if error.status != HTTPStatus.NOT_FOUND or isinstance(error, NoOperatorError):
            raise
        raise NoSuchJobError(_not_found(connection, name)) from error


def collection_path(connection: Connection, all_namespaces: bool = False) -> str:
    """Return the path of the jobs of the connection's namespace, or of all."""
    return f"{JOBS}/{PLURAL}" if all_namespaces else job_path(connection.namespace)


def in_order(jobs: list[Object]) -> list[Object]:
    """Return jobs by namespace and name."""
    return sorted(jobs, key=lambda job: (job["metadata"]["namespace"], job["metadata"]["name"]))


def watch_jobs(connection: Connection, path: str, version: str) -> Iterator[Object]:
    """Yield jobs as they change after a resource version. Raises UsageError."""
    while True:
        query = {"resourceVersion": version, "timeoutSeconds": str(WATCH_SECONDS), "allowWatchBookmarks": "true"}
        for event in connection.watch(path, query):
            if event["type"] == "ERROR":  # that version is no longer kept
                version = connection.get(path)["metadata"]["resourceVersion"]
                break
            version = event["object"]["metadata"]["resourceVersion"]
            if event["type"] != "BOOKMARK":
                yield event["object"]


_WRITTEN_METADATA = ("generation", "labels", "annotations")


def apply_job(connection: Connection, document: Object) -> tuple[Object, str]:
    """Create or change a job by server-side apply; return it as it is now, and what was done in kubectl's words.

    Raises:
        UsageError: The API server refused it or doesn't answer.
    """
    metadata = document["metadata"]
    namespace = metadata.get("namespace") or connection.namespace
    manifest = {**document, "metadata": {**metadata, "namespace": namespace}}
    manifest.pop("status", None)
    try:
        before = connection.get(job_path(namespace, metadata["name"]))
    except RefusedError as error:
        if error.status != HTTPStatus.NOT_FOUND or isinstance(error, NoOperatorError):
            raise
        before = None
    applied = connection.apply(job_path(namespace, metadata["name"]), manifest)
    if before is None:
        return applied, "created"
    # The operator may write the status meanwhile: that is no change.
    same = all(before["metadata"].get(each) == applied["metadata"].get(each) for each in _WRITTEN_METADATA)
    return applied, "unchanged" if same else "configured"


def refuse_other_namespace(document: Object, namespace: str | None) -> None:
    """Refuse a job that names another namespace than the one asked for. Raises UsageError."""
    metadata = document["metadata"]
    written = metadata.get("namespace")
    if namespace is not None and written not in (None, namespace):
        raise UsageError(
            f"{metadata['name']}: metadata.namespace is {written}, --namespace is {namespace}; leave either out"
        )


def patch_job(connection: Connection, name: str, change: Object) -> Object:
    """Change a job by a merge patch. Raises as `get_job`."""
    get_job(connection, name)
    return connection.patch(job_path(connection.namespace, name), change)


def watch_job(connection: Connection, name: str) -> Iterator[Object]:
    """Yield a job as it is and whenever it changes, until it is deleted. Raises as `get_job`."""
    while True:
        job = get_job(connection, name)
        yield job
        query = {
            "fieldSelector": f"metadata.name={name}",
            "resourceVersion": job["metadata"]["resourceVersion"],
            "timeoutSeconds": str(WATCH_SECONDS),
        }
        for event in connection.watch(job_path(connection.namespace), query):
            if event["type"] == "DELETED":
                return
            if event["type"] in ("ADDED", "MODIFIED"):
                yield event["object"]


def pods_of(connection: Connection, name: str) -> list[Object]:
    """Return a job's pods. Raises UsageError."""
    path = f"/api/v1/namespaces/{connection.namespace}/pods"
    items: list[Object] = connection.get(path, {"labelSelector": f"{LABEL_JOB}={name}"})["items"]
    return sorted(items, key=lambda pod: (pod["metadata"]["creationTimestamp"], pod["metadata"]["name"]))


def events_of(connection: Connection, name: str) -> list[Object]:
    """Return the events about a job, oldest first. Raises UsageError."""
    path = f"/api/v1/namespaces/{connection.namespace}/events"
    query = {"fieldSelector": f"involvedObject.kind=PretrainJob,involvedObject.name={name}"}
    return sorted(connection.get(path, query)["items"], key=event_time)


def watch_events(connection: Connection, name: str, known: list[Object]) -> Iterator[Object]:
    """Yield the events about a job that aren't among the known ones, as they come. Raises UsageError."""
    path = f"/api/v1/namespaces/{connection.namespace}/events"
    query = {"fieldSelector": f"involvedObject.kind=PretrainJob,involvedObject.name={name}"}
    seen = {(event["metadata"]["uid"], event["metadata"]["resourceVersion"]) for event in known}
    while True:
        for event in connection.watch(path, {**query, "timeoutSeconds": str(WATCH_SECONDS)}):
            metadata = event["object"]["metadata"]
            version = (metadata.get("uid"), metadata.get("resourceVersion"))
            if event["type"] in ("ADDED", "MODIFIED") and version not in seen:
                seen.add(version)
                yield event["object"]


def event_time(event: Object) -> str:
    """Return when an event last happened, RFC 3339."""
    return str(event.get("lastTimestamp") or event.get("eventTime") or event["metadata"].get("creationTimestamp") or "")


def _not_found(connection: Connection, name: str) -> str:
    names = [job["metadata"]["name"] for job in connection.get(job_path(connection.namespace)).get("items", [])]
    where = f"namespace {connection.namespace}"
    match = closest(name, names)
    if match:
        return f"{where} has no job '{name}'; did you mean '{match}'?"
    return f"{where} has no job '{name}'; `pretrain list -A` shows the jobs of all namespaces"
