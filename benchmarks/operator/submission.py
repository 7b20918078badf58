"""Submit jobs at once, and see when the first stage's children of each are there."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlencode

from kubernetes.aio.client import ApiClient, Configuration
from kubernetes.aio.config import load_kube_config

JOBS = "/apis/pretrain.dev/v1alpha1/namespaces/default/pretrainjobs"
CHILDREN = "/apis/batch/v1/namespaces/default/jobs"
METADATA_ONLY = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
"""The benchmark shall not be busy with reading what others wrote."""
CONNECTIONS = 64
Document = dict[str, Any]


class Server:
    """The API server: `async with Server(kubeconfig) as server: …`."""

    def __init__(self, kubeconfig: Path) -> None:
        self._kubeconfig = kubeconfig

    async def __aenter__(self) -> Self:
        configuration = Configuration()
        await load_kube_config(str(self._kubeconfig), client_configuration=configuration)  # type: ignore[no-untyped-call]
        configuration.connection_pool_maxsize = CONNECTIONS
        self.api = ApiClient(configuration)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.api.close()  # type: ignore[no-untyped-call]

    async def ask(self, method: str, path: str, body: Any = None, query: Mapping[str, str] | None = None) -> Document:
        """Return what the server answers. Raises RuntimeError where it refuses."""
        url = self.api.configuration.host + path + (f"?{urlencode(query)}" if query else "")
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        response = await self.api.call_api(method, url, headers, body, _request_timeout=120)
        data: bytes = await response.read()  # type: ignore[no-untyped-call]
        if response.status >= 400:
            raise RuntimeError(f"{method} {path}: {response.status} {data[:300]!r}")
        answer: Document = json.loads(data)
        return answer

    async def watch(self, path: str, seen: dict[str, float], selector: str = "", event: str = "ADDED") -> None:
        """Note when the objects of a path come; until cancelled."""
        version = (await self.ask("GET", path, None, {"limit": "1"}))["metadata"]["resourceVersion"]
        query = {"watch": "true", "resourceVersion": version, **({"labelSelector": selector} if selector else {})}
        headers = {"Accept": METADATA_ONLY}
        url = f"{self.api.configuration.host}{path}?{urlencode(query)}"
        response = await self.api.call_api("GET", url, headers, None, _request_timeout=3600)
        async for line in response.response.content:
            change = json.loads(line)
            if change["type"] == event:
                seen.setdefault(change["object"]["metadata"]["name"], time.monotonic())


async def submit(server: Server, documents: list[Document], limit_seconds: float = 180.0) -> list[float]:
    """Submit all documents at once; return the seconds from each one's request to its first stage's Job."""
    seen: dict[str, float] = {}
    sent: dict[str, float] = {}
    watching = asyncio.create_task(server.watch(CHILDREN, seen))
    await asyncio.sleep(0.5)

    async def send(document: Document) -> None:
        sent[document["metadata"]["name"]] = time.monotonic()
        await server.ask("POST", JOBS, document)

    began = time.monotonic()
    await asyncio.gather(*(send(document) for document in documents))
    names = {f"{name}-clean": name for name in sent}
    while not names.keys() <= seen.keys():
        if watching.done():
            watching.result()
        if time.monotonic() - began > limit_seconds:
            missing = len(names.keys() - seen.keys())
            raise TimeoutError(f"{missing} of {len(names)} jobs have no children after {limit_seconds:.0f} s")
        await asyncio.sleep(0.05)
    watching.cancel()
    with suppress(asyncio.CancelledError):
        await watching
    return [seen[child] - sent[name] for child, name in names.items()]


async def delete_all(server: Server, seconds: float = 600.0) -> None:
    """Delete all jobs, and wait until they and their children are gone."""
    deadline = time.monotonic() + seconds
    for path in (JOBS, CHILDREN):
        await _delete_collection(server, path, deadline)
    for path in (JOBS, CHILDREN, "/api/v1/namespaces/default/pods"):
        while (await server.ask("GET", path, None, {"limit": "1"}))["items"]:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{path}: not empty after {seconds:.0f} s")
            await asyncio.sleep(1)


async def _delete_collection(server: Server, path: str, deadline: float) -> None:
    """Delete all objects of a path; again where that takes longer than the minute that the API server gives it."""
    while True:
        try:
            await server.ask("DELETE", path, {"propagationPolicy": "Background"})
        except RuntimeError as error:
            if " 504 " not in str(error) or time.monotonic() > deadline:
                raise
        else:
            return
