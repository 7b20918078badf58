"""From a plan and what is there to what has to be done: pure, so that every order of events can be tried."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pretrain_api.names import Component
from pretrain_api.resolve import content_hash
from pretrain_api.spec.job import PretrainJob
from pretrain_api.status import PretrainJobStatus
from pretrain_operator.kubernetes import manifests
from pretrain_operator.kubernetes.config import OperatorConfig
from pretrain_operator.kubernetes.observing import Children, JobView, PodView, StatefulSetView, lost_pods
from pretrain_operator.planning import Plan, StageRun, TrainerSet
from pretrain_operator.planning.conditions import parse_timestamp

QUICK_REPLACEMENTS = 3
"""So many ended trainer pods are replaced at once; then each waits twice as long as the one before."""
LONGEST_REPLACEMENT_SECONDS = 60.0
REPLACEMENT_WINDOW_SECONDS = 600.0


@dataclass(frozen=True)
class Target:
    """An object of the cluster."""

    kind: str
    namespace: str
    name: str


@dataclass(frozen=True)
class Apply:
    """Have an object be as it says."""

    manifest: dict[str, Any]

    @property
    def name(self) -> str:
        """Kind and name."""
        return f"{self.manifest['kind']}/{self.manifest['metadata']['name']}"


@dataclass(frozen=True)
class Patch:
    """Change a field of an object that is there."""

    target: Target
    change: dict[str, Any]


@dataclass(frozen=True)
class Delete:
    """Delete an object, with its children, unless its name has another life by now."""

    target: Target
    uid: str
    grace_seconds: int | None = None


Action = Apply | Patch | Delete


@dataclass(frozen=True)
class Doing:
    """What is to be done now, and when to look again for more."""

    actions: tuple[Action, ...]
    next_look_seconds: float | None = None


@dataclass
class _Collected:
    actions: list[Action] = field(default_factory=list)
    looks: list[float] = field(default_factory=list)


def carry_out(
    job: PretrainJob,
    decision: Plan,
    children: Children,
    config: OperatorConfig,
    applied: Mapping[str, str],
    now: datetime,
) -> Doing:
    """Return what has to be done so that what the plan wants is there and nothing else is.

    Args:
        job: The job.
        decision: What is wanted.
        children: What is there.
        config: The operator's.
        applied: Hash by kind/name of what this process has applied already: not applied again as it is.
        now: The time.
    """
    collected = _Collected()
    wanted = {child.component: child for child in decision.children}
    runs: dict[str, StageRun] = {component: child for component, child in wanted.items() if isinstance(child, StageRun)}
    for view in children.jobs:
        collected.actions += _tend_job(job, view, runs.get(view.component))
    for run in runs.values():
        collected.actions += _start_stage(job, run, children, config)
    trainer = wanted.get(Component.TRAINER)
    if isinstance(trainer, TrainerSet):
        _tend_trainer(job, trainer, decision.status, children, config, now, collected)
    elif children.stateful_set is not None and not children.stateful_set.deleting:
        collected.actions.append(_delete_set(children.stateful_set))
    _forget_lost(job, children, now, collected)
    todo = tuple(action for action in collected.actions if not _is_applied(action, applied))
    return Doing(todo, min(collected.looks, default=None))


def clear_out(job: PretrainJob, children: Children, now: datetime) -> Doing:
    """Return what has to be done so that nothing of the job runs any more; no actions and no pods: it is done."""
    collected = _Collected()
    if children.stateful_set is not None and not children.stateful_set.deleting:
        collected.actions.append(_delete_set(children.stateful_set))
    collected.actions += [_delete_job(view) for view in children.jobs if not view.deleting]
    _forget_lost(job, children, now, collected)
    return Doing(tuple(collected.actions), min(collected.looks, default=None))


def forget_failures(children: Children) -> tuple[tuple[Action, ...], Children]:
    """Return how to get rid of what failed before a job that was changed gets a new try, and what is left then."""
    failed = tuple(view for view in children.jobs if view.failed)
    uids = {view.uid for view in failed}
    left = Children(
        pods=tuple(pod for pod in children.pods if pod.owner_uid not in uids and pod.component != Component.TRAINER),
        jobs=tuple(view for view in children.jobs if not view.failed),
        stateful_set=children.stateful_set,
        claims=children.claims,
        departed=(),
        progress=children.progress,
        warnings=children.warnings,
        nodes=children.nodes,
    )
    return tuple(_delete_job(view) for view in failed if not view.deleting), left


def fingerprint(manifest: dict[str, Any]) -> str:
    """Return the hash under which a manifest is remembered as applied."""
    return content_hash(manifest)


def _is_applied(action: Action, applied: Mapping[str, str]) -> bool:
    return isinstance(action, Apply) and applied.get(action.name) == fingerprint(action.manifest)


def _tend_job(job: PretrainJob, view: JobView, run: StageRun | None) -> Iterator[Action]:
    """Have the Job of a stage run, rest, or go away."""
    if view.deleting:
        return
    if run is not None and view.configuration != run.configuration:
        yield _delete_job(view)
    elif view.finished:
        return
    elif run is not None:
        change: dict[str, Any] = {}
        if view.parallelism != run.parallelism:
            change["parallelism"] = run.parallelism
        if view.suspended and job.spec.queue_name is None:
            change["suspend"] = False
        if change:
            yield Patch(_target("Job", view), {"spec": change})
    elif job.spec.queue_name is not None:
        yield _delete_job(view)  # Kueue decides when a Job is suspended
    elif not view.suspended:
        yield Patch(_target("Job", view), {"spec": {"suspend": True}})


def _start_stage(job: PretrainJob, run: StageRun, children: Children, config: OperatorConfig) -> Iterator[Action]:
    """Make the Job of a stage once nothing is left of an earlier one."""
    there = any(view.component == run.component for view in children.jobs)
    if there or any(pod.component == run.component and not pod.ended for pod in children.pods):
        return
    yield from _storage(job, children, config)
    yield Apply(manifests.config_map(job, config))
    yield Apply(manifests.stage_job(job, run, config))


def _tend_trainer(
    job: PretrainJob,
    trainer: TrainerSet,
    status: PretrainJobStatus,
    children: Children,
    config: OperatorConfig,
    now: datetime,
    collected: _Collected,
) -> None:
    """Have one set of trainers of today's revision, with living pods."""
    pods = tuple(pod for pod in children.pods if pod.component == Component.TRAINER)
    there = children.stateful_set
    revision = manifests.trainer_revision(job, trainer)
    if there is None:
        # Two trainers would write the same checkpoints: the new one waits until the old one is gone.
        collected.actions += [Delete(_target("Pod", pod), pod.uid) for pod in pods if not pod.deleting]
        if not pods:
            collected.actions += _storage(job, children, config)
            collected.actions.append(Apply(manifests.config_map(job, config)))
            collected.actions += [Apply(each) for each in manifests.trainer_objects(job, trainer, config)]
    elif there.deleting:
        return
    elif there.revision != revision:
        collected.actions.append(_delete_set(there))
    else:
        _replace_ended(pods, status, now, collected)


def _replace_ended(pods: tuple[PodView, ...], status: PretrainJobStatus, now: datetime, collected: _Collected) -> None:
    """Delete pods whose container has ended, so that the StatefulSet makes new ones before kubelet's back-off does."""
    for pod in pods:
        if pod.deleting or pod.ended_at is None:
            continue
        wait = replacement_delay(status, now) - (now - pod.ended_at).total_seconds()
        if wait <= 0:
            collected.actions.append(Delete(_target("Pod", pod), pod.uid))
        else:
            collected.looks.append(wait)


def replacement_delay(status: PretrainJobStatus, now: datetime) -> float:
    """Return the seconds to wait before an ended trainer pod is replaced."""
    recent = [
        ending
        for ending in status.restarts.recent
        if ending.counted and (now - parse_timestamp(ending.time)).total_seconds() < REPLACEMENT_WINDOW_SECONDS
    ]
    over = len(recent) - QUICK_REPLACEMENTS
    return 0.0 if over <= 0 else min(LONGEST_REPLACEMENT_SECONDS, 2.0**over)


def _forget_lost(job: PretrainJob, children: Children, now: datetime, collected: _Collected) -> None:
    lost, next_look_seconds = lost_pods(job, children, now)
    collected.actions += [Delete(_target("Pod", pod), pod.uid, grace_seconds=0) for pod in lost]
    if next_look_seconds is not None:
        collected.looks.append(next_look_seconds)


def _storage(job: PretrainJob, children: Children, config: OperatorConfig) -> Iterator[Action]:
    """Make the claim where the operator is asked to, and it isn't there: one that is there is never changed."""
    claim = manifests.claim(job, config)
    if claim is not None and all(view.name != claim["metadata"]["name"] for view in children.claims):
        yield Apply(claim)


def _delete_job(view: JobView) -> Delete:
    return Delete(_target("Job", view), view.uid)


def _delete_set(view: StatefulSetView) -> Delete:
    return Delete(_target("StatefulSet", view), view.uid)


def _target(kind: str, view: JobView | StatefulSetView | PodView) -> Target:
    return Target(kind, view.namespace, view.name)
