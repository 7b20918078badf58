"""Logs of a job's pods."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus

from pretrain_api.names import LABEL_COMPONENT, Component
from pretrain_cli.cluster.connection import Connection, Object, RefusedError
from pretrain_cli.cluster.jobs import pods_of
from pretrain_cli.errors import UsageError

MAX_FOLLOWED = 32
"""Pods at a time."""


@dataclass(frozen=True)
class LogRequest:
    """Which lines."""

    component: Component | None = None
    """None: the trainer, or what ran last."""
    node: int | None = None
    """Only this pod of the trainer."""
    tail: int | None = None
    follow: bool = False
    previous: bool = False


def log_lines(connection: Connection, name: str, request: LogRequest) -> Iterator[str]:
    """Yield lines, with the pod before each where there are several pods.

    Raises:
        UsageError: There is no such pod, or its log can't be read.
    """
    pods = choose_pods(pods_of(connection, name), name, request)
    if request.follow and len(pods) > MAX_FOLLOWED:
        raise UsageError(
            f"-f follows {MAX_FOLLOWED} pods at most, there are {len(pods)}; choose with --stage or --rank"
        )
    if len(pods) == 1:
        yield from _lines_of(connection, pods[0], request)
    elif request.follow:
        yield from _together(connection, name, pods, request)
    else:
        for pod in pods:
            for line in _lines_of(connection, pod, request):
                yield f"{_short(name, pod)} | {line}"


def choose_pods(pods: list[Object], name: str, request: LogRequest) -> list[Object]:
    """Return the pods whose logs are meant. Raises UsageError where there are none."""
    if not pods:
        raise UsageError(f"{name} has no pods now, so no logs; `pretrain status {name}` says why")
    there = {str(pod["metadata"]["labels"].get(LABEL_COMPONENT)) for pod in pods}
    component: str | None = request.component
    if component is None:
        newest = str(pods[-1]["metadata"]["labels"].get(LABEL_COMPONENT))
        component = Component.TRAINER if Component.TRAINER in there else newest
    chosen = [pod for pod in pods if pod["metadata"]["labels"].get(LABEL_COMPONENT) == component]
    if request.node is not None:
        chosen = [pod for pod in chosen if pod["metadata"]["name"].endswith(f"-{Component.TRAINER}-{request.node}")]
    if not chosen:
        raise UsageError(f"{name} has no pod of {component} now; there are pods of: {', '.join(sorted(there))}")
    return sorted(chosen, key=lambda pod: str(pod["metadata"]["name"]))


def _lines_of(connection: Connection, pod: Object, request: LogRequest) -> Iterator[str]:
    metadata = pod["metadata"]
    query = {"container": str(metadata["labels"].get(LABEL_COMPONENT))}
    if request.tail is not None:
        query["tailLines"] = str(request.tail)
    if request.follow:
        query["follow"] = "true"
    if request.previous:
        query["previous"] = "true"
    try:
        yield from connection.lines(f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}/log", query)
    except RefusedError as error:
        if error.status != HTTPStatus.BAD_REQUEST:
            raise
        raise UsageError(f"{metadata['name']}: {error}; `pretrain status` says what it waits for") from error


def _together(connection: Connection, name: str, pods: list[Object], request: LogRequest) -> Iterator[str]:
    """Yield the lines of several pods as they come."""
    lines: queue.SimpleQueue[str | UsageError | None] = queue.SimpleQueue()

    def read(pod: Object) -> None:
        try:
            for line in _lines_of(connection, pod, request):
                lines.put(f"{_short(name, pod)} | {line}")
        except UsageError as error:
            lines.put(error)
        lines.put(None)

    for pod in pods:
        # Daemons: Ctrl-C ends them with the command.
        threading.Thread(target=read, args=(pod,), daemon=True).start()
    ended = 0
    while ended < len(pods):
        line = lines.get()
        if isinstance(line, UsageError):
            raise line
        if line is None:
            ended += 1
        else:
            yield line


def _short(name: str, pod: Object) -> str:
    """Return a pod's name without the job's."""
    return str(pod["metadata"]["name"]).removeprefix(f"{name}-")
