"""Access to the API server: server-side apply, patches, deletes. Objects are plain dicts in wire form."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Protocol
from urllib.parse import urlencode

from kubernetes.aio import config as kubernetes_config
from kubernetes.aio.client import ApiClient, ApiException, Configuration

from pretrain_api.names import API_VERSION, KIND, PLURAL

FIELD_MANAGER = "pretrain-operator"
REQUEST_SECONDS = 20.0
"""Longest time a request may take: a server that answers later has to be asked again anyway."""
CONNECTIONS = 64
_WHOLE = "application/json"
_METADATA_ONLY = f"application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1, {_WHOLE}"
"""Nobody reads what was just written: the server needn't send it back."""

_PLURALS = {
    KIND: PLURAL,
    "ConfigMap": "configmaps",
    "Event": "events",
    "Job": "jobs",
    "Lease": "leases",
    "NetworkPolicy": "networkpolicies",
    "PersistentVolumeClaim": "persistentvolumeclaims",
    "Pod": "pods",
    "PodDisruptionBudget": "poddisruptionbudgets",
    "Service": "services",
    "StatefulSet": "statefulsets",
}
API_VERSIONS = {
    KIND: API_VERSION,
    "Job": "batch/v1",
    "StatefulSet": "apps/v1",
    "Pod": "v1",
    "Lease": "coordination.k8s.io/v1",
}

Object = dict[str, Any]


class ApiError(Exception):
    """The API server refused a request.

    Attributes:
        status: HTTP status.
        message: What the server said.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status
        self.message = message

    @property
    def refused(self) -> bool:
        """Is the request itself wrong, so that repeating it is of no use? Then a person should read the message."""
        return self.status in (HTTPStatus.BAD_REQUEST, HTTPStatus.FORBIDDEN, HTTPStatus.UNPROCESSABLE_ENTITY)


class Reference(Protocol):
    """Names an object."""

    @property
    def kind(self) -> str:
        """Its kind."""

    @property
    def namespace(self) -> str:
        """Its namespace."""

    @property
    def name(self) -> str:
        """Its name."""


async def connect() -> ApiClient:
    """Return a client of the cluster this process runs in, or of KUBECONFIG where it runs outside.

    Raises:
        ConfigException: There is neither.
    """
    configuration = Configuration()
    try:
        kubernetes_config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
    except kubernetes_config.ConfigException:
        await kubernetes_config.load_kube_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
    configuration.connection_pool_maxsize = CONNECTIONS
    return ApiClient(configuration)


class Cluster:
    """The API server, as this operator uses it."""

    def __init__(self, api: ApiClient, count: Callable[[str, str, int], None] = lambda method, resource, code: None):
        """Use a client.

        Args:
            api: A connected client; stays the caller's.
            count: Told method, resource and status of every request.
        """
        self._api = api
        self._count = count

    async def apply(self, manifest: Object, manager: str = FIELD_MANAGER) -> Object:
        """Create an object or change it to be as `manifest` says, by server-side apply; return its metadata.

        Raises:
            ApiError: The server refused it.
            OSError, TimeoutError: There was no answer.
        """
        metadata = manifest["metadata"]
        path = _path(manifest["apiVersion"], manifest["kind"], metadata["namespace"], metadata["name"])
        query = {"fieldManager": manager, "force": "true"}
        return await self._request("PATCH", path, manifest, query, "application/apply-patch+yaml")

    async def create_or_apply(self, manifest: Object) -> Object:
        """Create an object; where it is there already, change it to be as `manifest` says by server-side apply.

        Creating costs the server a fraction of what applying does. Raises as `apply`.
        """
        try:
            return await self.create(manifest)
        except ApiError as error:
            if error.status != HTTPStatus.CONFLICT:
                raise
        return await self.apply(manifest)

    async def patch(self, target: Reference, change: Object | list[Object], subresource: str = "") -> Object | None:
        """Change parts of an object by a JSON patch (a list) or a merge patch; return its metadata. None: it is gone.

        Raises:
            ApiError: The server refused it.
            OSError, TimeoutError: There was no answer.
        """
        path = _path(API_VERSIONS[target.kind], target.kind, target.namespace, target.name)
        content = "application/json-patch+json" if isinstance(change, list) else "application/merge-patch+json"
        path = f"{path}/{subresource}" if subresource else path
        try:
            return await self._request("PATCH", path, change, {"fieldManager": FIELD_MANAGER}, content)
        except ApiError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return None
            raise

    async def delete(self, target: Reference, uid: str, grace_seconds: int | None = None) -> None:
        """Delete an object with its children, if it still is the one with `uid`.

        Args:
            target: What.
            uid: Another life of the same name is left alone.
            grace_seconds: Time its containers have to end; None: what it asks for; 0: forget it at once.

        Raises:
            ApiError: The server refused it.
            OSError, TimeoutError: There was no answer.
        """
        path = _path(API_VERSIONS[target.kind], target.kind, target.namespace, target.name)
        options: Object = {"propagationPolicy": "Background", "preconditions": {"uid": uid}}
        if grace_seconds is not None:
            options["gracePeriodSeconds"] = grace_seconds
        try:
            await self._request("DELETE", path, options)
        except ApiError as error:
            if error.status not in (HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT):
                raise

    async def create(self, manifest: Object) -> Object:
        """Create an object; return its metadata.

        Raises:
            ApiError: The server refused it.
            OSError, TimeoutError: There was no answer.
        """
        path = _path(manifest["apiVersion"], manifest["kind"], manifest["metadata"]["namespace"])
        return await self._request("POST", path, manifest, {"fieldManager": FIELD_MANAGER})

    async def get(self, target: Reference) -> Object | None:
        """Return an object; None: there is none.

        Raises:
            ApiError: The server refused it.
            OSError, TimeoutError: There was no answer.
        """
        try:
            return await self._request(
                "GET", _path(API_VERSIONS[target.kind], target.kind, target.namespace, target.name)
            )
        except ApiError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return None
            raise

    async def replace(self, manifest: Object) -> Object:
        """Replace an object, if it still is of the resource version that the manifest names; return its metadata.

        Raises:
            ApiError: The server refused it: with status 409 where somebody was faster.
            OSError, TimeoutError: There was no answer.
        """
        metadata = manifest["metadata"]
        path = _path(manifest["apiVersion"], manifest["kind"], metadata["namespace"], metadata["name"])
        return await self._request("PUT", path, manifest, {"fieldManager": FIELD_MANAGER})

    async def newest_warning(self, namespace: str, uid: str) -> str | None:
        """Return the newest Warning event about an object, as `reason: message`; None: there is none.

        Raises:
            ApiError: The server refused it.
            OSError, TimeoutError: There was no answer.
        """
        # Probes fail while a container runs: they say nothing of why it does not start.
        selector = f"involvedObject.uid={uid},type=Warning,reason!=Unhealthy"
        query = {"fieldSelector": selector, "limit": "50"}
        found = (await self._request("GET", _path("v1", "Event", namespace), None, query)).get("items", [])
        newest = max(found, key=_event_time, default=None)
        return f"{newest.get('reason')}: {newest.get('message')}" if newest is not None else None

    async def _request(
        self,
        method: str,
        path: str,
        body: Object | list[Object] | None = None,
        query: Mapping[str, str] | None = None,
        content: str = "application/json",
    ) -> Object:
        headers = {"Content-Type": content, "Accept": _WHOLE if method == "GET" else _METADATA_ONLY}
        await self._api.update_params_for_auth(headers, [], ["BearerToken"], path, method, None)
        url = self._api.configuration.host + path + (f"?{urlencode(query)}" if query else "")
        resource = (
            path.rsplit("/namespaces/", maxsplit=1)[-1].split("/")[1]
            if "/namespaces/" in path
            else path.rsplit("/", 1)[-1]
        )
        try:
            response = await self._api.call_api(method, url, headers, body, _request_timeout=REQUEST_SECONDS)
        except ApiException as error:
            self._count(method, resource, error.status or 0)
            raise ApiError(error.status or 0, str(error.reason)) from error
        data: bytes = await response.read()  # type: ignore[no-untyped-call]
        self._count(method, resource, response.status)
        if response.status >= HTTPStatus.BAD_REQUEST:
            raise ApiError(response.status, _message(data))
        answer: Object = json.loads(data)
        return answer


def _path(api_version: str, kind: str, namespace: str, name: str = "") -> str:
    base = "/api/v1" if api_version == "v1" else f"/apis/{api_version}"
    path = f"{base}/namespaces/{namespace}/{_PLURALS[kind]}"
    return f"{path}/{name}" if name else path


def _message(data: bytes) -> str:
    try:
        return str(json.loads(data).get("message", ""))
    except (ValueError, AttributeError):  # something between us and the server answered
        return data[:500].decode(errors="replace")


def _event_time(event: Object) -> str:
    return str(event.get("lastTimestamp") or event.get("eventTime") or event["metadata"].get("creationTimestamp") or "")
