"""One look at one job: see, plan, carry out, write the status, tell."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from pretrain_api.names import ANNOTATION_ROLLBACK, FINALIZER, KIND, ConditionType, Reason
from pretrain_api.spec.job import PretrainJob
from pretrain_api.status import PretrainJobStatus, is_sealed, seal
from pretrain_api.validation import validate_document
from pretrain_operator.kubernetes import manifests
from pretrain_operator.kubernetes.carrying_out import (
    Action,
    Apply,
    Delete,
    Target,
    carry_out,
    clear_out,
    fingerprint,
    forget_failures,
)
from pretrain_operator.kubernetes.client import ApiError, Cluster
from pretrain_operator.kubernetes.config import OperatorConfig
from pretrain_operator.kubernetes.logs import LOGGER
from pretrain_operator.kubernetes.memory import JobMemory, Memories
from pretrain_operator.kubernetes.observing import Children, observe, stuck
from pretrain_operator.kubernetes.publishing import differs_in_substance, event_manifest, is_as_seen
from pretrain_operator.kubernetes.queue import JobKey
from pretrain_operator.kubernetes.watching import Watched
from pretrain_operator.planning import Event, Plan, plan
from pretrain_operator.planning.conditions import is_true, set_condition

WARNING_SECONDS = 10.0
"""Pause between two looks at the events of something that is stuck."""
REFUSED_SECONDS = 30.0
"""Pause before something is asked for again that the API server refused."""


@dataclass(frozen=True)
class _Outcome:
    """What came of the actions."""

    refused: str = ""
    next_look_seconds: float | None = None


class Reconciler:
    """Looks at jobs."""

    def __init__(
        self,
        cluster: Cluster,
        watched: Watched,
        memories: Memories,
        config: OperatorConfig,
        give_way: Callable[[JobKey], Awaitable[None]],
    ) -> None:
        """Look at what is watched.

        Args:
            cluster: Where to write.
            watched: What is there.
            memories: What is remembered of each job.
            config: The operator's.
            give_way: Awaited between making children and telling of them: jobs that have none go first.
        """
        self._cluster = cluster
        self._watched = watched
        self._memories = memories
        self._config = config
        self._give_way = give_way

    async def look(self, key: JobKey) -> float | None:
        """Bring a job a step on; return the seconds until it is worth another look, None: when something changes.

        Raises:
            ApiError, OSError, TimeoutError: The API server didn't do as asked; to be tried again.
        """
        document = self._watched.job(key)
        if document is None:
            self._memories.forget(key)
            return None
        memory = self._memories.of(key, document["metadata"]["uid"])
        job = _parse(document, memory, self._config)
        if document["metadata"].get("deletionTimestamp"):
            return await self._finish(key, document, job, memory)
        return await self._advance(key, document, job, memory)

    async def _advance(
        self, key: JobKey, document: dict[str, Any], job: PretrainJob, memory: JobMemory
    ) -> float | None:
        now = datetime.now(UTC)
        previous = _previous(document, memory)
        children = self._children(key, memory)
        departed = tuple(memory.departed)
        await self._ask_for_warnings(children, memory, now)
        cleared, children = _new_try(job, previous, children, memory)
        decision = plan(job, observe(job, previous, memory.problems, children, now), now)
        doing = carry_out(job, decision, children, self._config, memory.applied, now)
        outcome = await self._do((*cleared, *doing.actions), memory)
        await self._give_way(key)
        await self._hold(document, memory)
        status = _with_refusal(decision.status, outcome.refused, now)
        wait = await self._write_status(document, status, decision, memory)
        await self._tell(document, _events(decision, outcome.refused, memory))
        memory.refused = outcome.refused
        for uid in departed:  # those that went meanwhile are for the next look
            memory.departed.pop(uid, None)
        if decision.delete_job:
            await self._cluster.delete(_target(document), memory.uid)
        looks = (decision.next_look_seconds, doing.next_look_seconds, outcome.next_look_seconds, wait)
        return min((look for look in looks if look is not None), default=None)

    async def _finish(self, key: JobKey, document: dict[str, Any], job: PretrainJob, memory: JobMemory) -> float | None:
        """A deleted job: nothing of it runs any more when its finalizer goes."""
        children = self._children(key, memory)
        doing = clear_out(job, children, datetime.now(UTC))
        await self._do(doing.actions, memory)
        if children.pods or children.stateful_set is not None or children.jobs:
            return doing.next_look_seconds
        if FINALIZER in document["metadata"].get("finalizers", ()):
            kept = [each for each in document["metadata"]["finalizers"] if each != FINALIZER]
            test = {"op": "test", "path": "/metadata/uid", "value": memory.uid}
            change = {"op": "replace", "path": "/metadata/finalizers", "value": kept}
            await self._cluster.patch(_target(document), [test, change])
            LOGGER.info("deleted", extra=_extra(document))
        return None

    def _children(self, key: JobKey, memory: JobMemory) -> Children:
        return self._watched.children(key, tuple(memory.departed.values()), memory.progress, memory.warnings)

    async def _ask_for_warnings(self, children: Children, memory: JobMemory, now: datetime) -> None:
        """Fetch the newest Warning event of everything that is stuck without a cause in its status."""
        uids = set()
        for each in stuck(children, now):
            uids.add(each.uid)
            if time.monotonic() - memory.warnings_fetched.get(each.uid, -WARNING_SECONDS) < WARNING_SECONDS:
                continue
            memory.warnings_fetched[each.uid] = time.monotonic()
            warning = await self._cluster.newest_warning(each.namespace, each.uid)
            if warning is not None:
                memory.warnings[each.uid] = warning
        for uid in [uid for uid in memory.warnings_fetched if uid not in uids]:
            del memory.warnings_fetched[uid]
            memory.warnings.pop(uid, None)

    async def _do(self, actions: tuple[Action, ...], memory: JobMemory) -> _Outcome:
        """Carry out; what the server refuses for good is for a person to read."""
        refusals = [each for each in await asyncio.gather(*(self._do_one(each, memory) for each in actions)) if each]
        return _Outcome(refusals[0], REFUSED_SECONDS) if refusals else _Outcome()

    async def _do_one(self, action: Action, memory: JobMemory) -> str:
        try:
            if isinstance(action, Apply):
                await self._cluster.create_or_apply(action.manifest)
                memory.applied[action.name] = fingerprint(action.manifest)
            elif isinstance(action, Delete):
                memory.applied.pop(f"{action.target.kind}/{action.target.name}", None)
                if action.target.kind != "Pod":
                    memory.deleted.add(action.uid)
                await self._cluster.delete(action.target, action.uid, action.grace_seconds)
            else:
                await self._cluster.patch(action.target, action.change)
        except ApiError as error:
            if error.refused:
                return error.message
            raise
        return ""

    async def _hold(self, document: dict[str, Any], memory: JobMemory) -> None:
        """Have the finalizer there once there may be children."""
        if memory.finalizer or FINALIZER in document["metadata"].get("finalizers", ()):
            memory.finalizer = True
            return
        # Applying would cost the server several times as much: it would compare the whole job.
        path, others = "/metadata/finalizers", document["metadata"].get("finalizers")
        change: list[dict[str, Any]] = [{"op": "test", "path": "/metadata/uid", "value": memory.uid}]
        if others:
            change.append({"op": "add", "path": f"{path}/-", "value": FINALIZER})
        else:
            change.append({"op": "test", "path": path, "value": None})  # else another's would be lost
            change.append({"op": "add", "path": path, "value": [FINALIZER]})
        await self._patch_job(document, memory, change)
        memory.finalizer = True

    async def _write_status(
        self, document: dict[str, Any], status: PretrainJobStatus, decision: Plan, memory: JobMemory
    ) -> float | None:
        """Write the status if it is worth it; return the seconds until it is, None: it needn't be."""
        sealed = seal(status)
        written = memory.status
        shown = _sealed_status(document)
        foreign = shown != written  # somebody else's, or older than ours: the newest event will tell
        if written is not None and sealed == written and (not foreign or not _edited(document)):
            return None
        age = time.monotonic() - memory.status_written
        if written is not None and not _published(decision.events) and not _edited(document):
            pause = self._config.progress_interval_seconds - age
            if pause > 0 and not differs_in_substance(written, sealed):
                return pause
        value = sealed.model_dump(mode="json", by_alias=True, exclude_none=True)
        test = {"op": "test", "path": "/metadata/uid", "value": memory.uid}
        await self._patch_job(document, memory, [test, {"op": "add", "path": "/status", "value": value}], "status")
        if written is None or written.phase != sealed.phase:
            LOGGER.info("phase %s", sealed.phase, extra={**_extra(document), "phase": str(sealed.phase)})
        memory.status, memory.status_written = sealed, time.monotonic()
        return None

    async def _patch_job(
        self, document: dict[str, Any], memory: JobMemory, change: list[dict[str, Any]], subresource: str = ""
    ) -> None:
        answer = await self._cluster.patch(_target(document), change, subresource)
        if answer is not None and is_as_seen(document, answer):
            memory.written.append(answer["metadata"]["resourceVersion"])

    async def _tell(self, document: dict[str, Any], events: tuple[Event, ...]) -> None:
        """Write events. They are a courtesy: one that can't be written is logged."""
        for event in events:
            LOGGER.info("%s: %s", event.reason, event.message, extra=_extra(document))
            try:
                await self._cluster.create(event_manifest(document, event, datetime.now(UTC)))
            except ApiError as error:
                LOGGER.warning("an event could not be written: %s", error, extra=_extra(document))


def _parse(document: dict[str, Any], memory: JobMemory, config: OperatorConfig) -> PretrainJob:
    """Return the job; its problems are put into the memory."""
    metadata = document["metadata"]
    source = (metadata.get("generation", 0), metadata.get("annotations", {}).get(ANNOTATION_ROLLBACK, ""))
    if memory.job is None or memory.parsed_from != source:
        memory.job, memory.problems = _validate(document, config)
        memory.parsed_from = source
    return memory.job


def _validate(document: dict[str, Any], config: OperatorConfig) -> tuple[PretrainJob, tuple[str, ...]]:
    plain = {key: value for key, value in document.items() if key != "status"}
    job, found = validate_document(plain)
    if job is not None:
        return job, manifests.cluster_problems(job, config)
    problems = tuple(map(str, found))
    try:
        return PretrainJob.model_validate(plain), problems
    except ValidationError:
        # Not even of the right shape: planned as nothing, so that its problems can be shown.
        empty = {"data": {"sources": [{"name": "none", "uri": "none"}]}}
        return PretrainJob.model_validate({**plain, "spec": empty}), problems


def _previous(document: dict[str, Any], memory: JobMemory) -> PretrainJobStatus:
    """Return the newest status that is known to be ours."""
    if memory.status is not None:
        return memory.status
    return _sealed_status(document) or PretrainJobStatus()


def _sealed_status(document: dict[str, Any]) -> PretrainJobStatus | None:
    """Return the status as it is shown, unless somebody edited it."""
    try:
        status = PretrainJobStatus.model_validate(document.get("status") or {})
    except ValidationError:
        return None
    return status if is_sealed(status) else None


def _edited(document: dict[str, Any]) -> bool:
    return bool(document.get("status")) and _sealed_status(document) is None


def _new_try(
    job: PretrainJob, previous: PretrainJobStatus, children: Children, memory: JobMemory
) -> tuple[tuple[Action, ...], Children]:
    """A job that failed and was changed starts anew: what failed before has no say."""
    changed = previous.observed_generation not in (0, job.metadata.generation)
    if not (changed and is_true(previous, ConditionType.FAILED)):
        return (), children
    memory.departed.clear()
    return forget_failures(children)


def _with_refusal(status: PretrainJobStatus, refused: str, now: datetime) -> PretrainJobStatus:
    if not refused:
        return status
    shown = status.model_copy(deep=True)
    set_condition(shown, ConditionType.RUNNING, False, Reason.REFUSED, refused, now)
    return shown


def _events(decision: Plan, refused: str, memory: JobMemory) -> tuple[Event, ...]:
    events = _published(decision.events)
    if refused and refused != memory.refused:
        return (*events, Event("Warning", Reason.REFUSED, refused))
    return events


def _published(events: tuple[Event, ...]) -> tuple[Event, ...]:
    return tuple(event for event in events if not event.progress)


def _target(document: dict[str, Any]) -> Target:
    return Target(KIND, document["metadata"]["namespace"], document["metadata"]["name"])


def _extra(document: dict[str, Any]) -> dict[str, str]:
    return {"job": f"{document['metadata']['namespace']}/{document['metadata']['name']}"}
