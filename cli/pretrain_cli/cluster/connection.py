"""A connection to the API server: raw objects in and out, and every error a line with what to do."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from kubernetes.client import ApiClient, Configuration
from kubernetes.client.exceptions import ApiException
from kubernetes.config import ConfigException, load_incluster_config
from kubernetes.config.kube_config import list_kube_config_contexts, load_kube_config
from urllib3.exceptions import HTTPError
from urllib3.util import Timeout

from pretrain_api.names import API_VERSION
from pretrain_cli.errors import UsageError

CONNECT_SECONDS = 3.0
REQUEST_SECONDS = 20.0
FIELD_MANAGER = "pretrain-cli"
JOBS = f"/apis/{API_VERSION}"
_UNKNOWN_RESOURCE = ("404 page not found", "the server could not find the requested resource")

Object = dict[str, Any]


class UnreachableError(UsageError):
    """There is no cluster, or it doesn't answer."""


class RefusedError(UsageError):
    """The API server refused a request.

    Attributes:
        status: HTTP status.
    """

    def __init__(self, status: int, line: str) -> None:
        super().__init__(line)
        self.status = status


class NoOperatorError(RefusedError):
    """The cluster doesn't know PretrainJobs."""


@dataclass(frozen=True)
class ClusterOptions:
    """Which cluster and namespace; None: as kubectl would choose."""

    namespace: str | None = None
    context: str | None = None
    kubeconfig: str | None = None


class Connection:
    """The API server, and the namespace that is meant."""

    def __init__(self, api: ApiClient, namespace: str) -> None:
        self.api = api
        self.namespace = namespace

    def get(self, path: str, query: Mapping[str, str] | None = None) -> Object:
        """Return what is at a path.

        Raises:
            UsageError: The server refused it or doesn't answer.
        """
        return self._json("GET", path, None, query)

    def patch(
        self, path: str, change: Object | list[Object], query: Mapping[str, str] | None = None, content: str = ""
    ) -> Object:
        """Change what is at a path, by a merge patch where `content` doesn't say otherwise. Raises as `get`."""
        content = content or "application/merge-patch+json"
        return self._json("PATCH", path, change, {"fieldManager": FIELD_MANAGER, **(query or {})}, content)

    def apply(self, path: str, manifest: Object) -> Object:
        """Create an object or change it to be as `manifest` says, by server-side apply. Raises as `get`."""
        return self.patch(path, manifest, {"force": "true"}, "application/apply-patch+yaml")

    def create(self, path: str, manifest: Object) -> Object:
        """Create an object. Raises as `get`."""
        return self._json("POST", path, manifest, {"fieldManager": FIELD_MANAGER})

    def delete(self, path: str, grace_seconds: int) -> None:
        """Delete an object. Raises as `get`."""
        self._json("DELETE", path, {"gracePeriodSeconds": grace_seconds})

    def lines(self, path: str, query: Mapping[str, str] | None = None) -> Iterator[str]:
        """Yield lines of text as they come, without their ends. Raises as `get`."""
        follow = query is not None and query.get("follow") == "true"
        timeout = Timeout(connect=CONNECT_SECONDS, read=None if follow else REQUEST_SECONDS)
        with self._request("GET", path, None, query, "application/json", timeout) as response:
            rest = b""
            for piece in response.stream(65536):
                *whole, rest = (rest + piece).split(b"\n")
                yield from (line.decode(errors="replace") for line in whole)
            if rest:
                yield rest.decode(errors="replace")

    def watch(self, path: str, query: Mapping[str, str]) -> Iterator[Object]:
        """Yield what changes at a path, until the server ends the watch. Raises as `get`."""
        for line in self.lines(path, {**query, "watch": "true", "follow": "true"}):
            yield json.loads(line)

    def _json(
        self,
        method: str,
        path: str,
        body: Object | list[Object] | None,
        query: Mapping[str, str] | None = None,
        content: str = "application/json",
    ) -> Object:
        timeout = Timeout(connect=CONNECT_SECONDS, read=REQUEST_SECONDS)
        with self._request(method, path, body, query, content, timeout) as response:
            answer: Object = json.loads(response.read())
        return answer

    @contextmanager
    def _request(
        self,
        method: str,
        path: str,
        body: Object | list[Object] | None,
        query: Mapping[str, str] | None,
        content: str,
        timeout: Timeout,
    ) -> Iterator[Any]:
        """Yield the response, its body not yet read."""
        headers = {"Content-Type": content, "Accept": "application/json"}
        host = self.api.configuration.host
        self.api.update_params_for_auth(headers, [], ["BearerToken"], path, method, None)
        url = host + path + (f"?{urlencode(query)}" if query else "")
        pool = self.api.rest_client.pool_manager
        try:
            text = json.dumps(body).encode() if body is not None else None
            response = pool.request(
                method, url, body=text, headers=headers, preload_content=False, timeout=timeout, retries=False
            )
            try:
                if response.status >= HTTPStatus.BAD_REQUEST:
                    raise _refused(response.status, response.read())
                yield response
            finally:
                response.release_conn()
        except (HTTPError, ssl.SSLError, OSError) as error:
            raise unreachable(host, error) from error


def connect(options: ClusterOptions) -> Connection:
    """Return a connection as kubectl would choose it: the kubeconfig's, or that of the pod this runs in.

    Raises:
        UnreachableError: There is neither, or what there is can't be used.
    """
    configuration = Configuration()
    try:
        load_kube_config(options.kubeconfig, options.context, configuration)  # type: ignore[no-untyped-call]
        namespace = options.namespace or _namespace_of_context(options)
    except ConfigException as error:
        if options.kubeconfig is None and options.context is None:
            try:
                load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
                return Connection(ApiClient(configuration), options.namespace or "default")
            except ConfigException:
                pass  # not in a pod: what is said below is about the kubeconfig
        raise UnreachableError(
            f"no cluster: {' '.join(str(error).split())}; give --kubeconfig and --context, "
            "or the directory of a local run instead of a name"
        ) from error
    except (OSError, ApiException, ValueError) as error:
        raise UnreachableError(f"no cluster: the kubeconfig can't be used: {error}; give --kubeconfig FILE") from error
    return Connection(ApiClient(configuration), namespace)


def _namespace_of_context(options: ClusterOptions) -> str:
    contexts, active = list_kube_config_contexts(options.kubeconfig)  # type: ignore[no-untyped-call]
    if options.context is not None:
        active = next(each for each in contexts if each["name"] == options.context)
    return str(active["context"].get("namespace") or "default")


def unreachable(host: str, error: Exception) -> UnreachableError:
    """Return the error for a server that doesn't answer."""
    cause = getattr(error, "reason", None) or error
    text = " ".join(str(cause).split())
    return UnreachableError(
        f"the cluster at {host} doesn't answer: {text}; is it running, and does --context name the right one?"
    )


def _refused(status: int, data: bytes) -> RefusedError:
    try:
        message = str(json.loads(data).get("message", ""))
    except (ValueError, AttributeError):  # something between us and the server answered
        message = data[:500].decode(errors="replace")
    message = " ".join(message.split()) or f"HTTP status {status}"
    if status == HTTPStatus.NOT_FOUND and message in _UNKNOWN_RESOURCE:
        return NoOperatorError(
            status,
            "the cluster doesn't know PretrainJobs; "
            "install the operator: helm install pretrain charts/pretrain-operator",
        )
    remedies: dict[int, str] = {
        HTTPStatus.UNAUTHORIZED: "; log in to the cluster again",
        HTTPStatus.FORBIDDEN: "; ask whoever runs the cluster for that right (`kubectl auth can-i --list`)",
        HTTPStatus.CONFLICT: "; it changed meanwhile: the same command again",
    }
    return RefusedError(status, message + remedies.get(status, ""))
