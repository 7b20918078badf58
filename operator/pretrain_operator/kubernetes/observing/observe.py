"""From views to what the plan knows of the world."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime

from pretrain_api.names import Component, Reason
from pretrain_api.spec.job import PretrainJob
from pretrain_api.status import PretrainJobStatus
from pretrain_api.wire import NEVER_RETRIED, ExitCode, StageProgress, TerminationMessage, TrainerProgress
from pretrain_operator.kubernetes.observing.children import Children
from pretrain_operator.kubernetes.observing.endings import departure_of, ending_of, last_ending_of
from pretrain_operator.kubernetes.observing.troubles import creation_trouble, trouble_of
from pretrain_operator.kubernetes.observing.views import JobView, PodView, StatefulSetView
from pretrain_operator.planning import (
    Ending,
    ItemObservation,
    Observed,
    PodObservation,
    RunState,
    StageObservation,
    TrainerObservation,
)
from pretrain_operator.planning.failures import is_free

_PENDING = ItemObservation()
_SUCCEEDED = ItemObservation(RunState.SUCCEEDED)


def observe(
    job: PretrainJob, previous: PretrainJobStatus, problems: tuple[str, ...], children: Children, now: datetime
) -> Observed:
    """Return what is seen of a job.

    Args:
        job: The job.
        previous: Its status as it was written last.
        problems: What validation says.
        children: Its children.
        now: The time.
    """
    return Observed(
        previous=previous,
        problems=problems,
        stages=_stages(children),
        trainer=_trainer(children),
        completion_marker=None,
    )


def _stages(children: Children) -> Mapping[Component, StageObservation]:
    pods: dict[str, list[PodView]] = defaultdict(list)
    for pod in children.pods:
        pods[pod.component].append(pod)
    views = {view.component: view for view in children.jobs}
    seen: dict[Component, StageObservation] = {}
    for component in Component:
        view, its = views.get(component), pods.get(component, [])
        if component is Component.TRAINER:
            continue
        if view is not None:
            seen[component] = observe_stage(view, its, children)
        elif any(not pod.ended for pod in its):  # of a Job that is gone
            seen[component] = StageObservation("", (), unfinished=True)
    return seen


def observe_stage(view: JobView, pods: list[PodView], children: Children) -> StageObservation:
    """Return a stage as its Job and its pods show it.

    Args:
        view: The Job. It may have 100,000 work items: equal ones share one observation.
        pods: Those of the stage; some may be left from an earlier Job of the same name.
        children: For progress and warnings.
    """
    items = [_PENDING] * view.completions
    for done in view.completed:
        items[done.start : done.stop] = [_SUCCEEDED] * len(done)
    lost = _failed_item(view)
    for failed in view.failed_items:
        items[failed.start : failed.stop] = [lost] * len(failed)
    own = sorted((pod for pod in pods if pod.owner_uid == view.uid), key=lambda pod: pod.created)
    newest = {pod.index: pod for pod in own if pod.index < len(items)}
    for index, pod in newest.items():
        items[index] = _item(view, items[index], pod, children)
    if view.failed:
        items = [_as_failed(item, lost) for item in items]
    trouble = creation_trouble(view.name, children.warnings.get(view.uid))
    if trouble is not None and not own and _PENDING in items:
        items[items.index(_PENDING)] = ItemObservation(trouble=trouble)
    may_begin = not (view.finished or view.suspended)
    return StageObservation(
        # A Job on its way out is seen as long as its pods are, and counts for nothing else.
        configuration="" if view.deleting else view.configuration,
        items=tuple(items),
        unfinished=may_begin or any(not pod.ended for pod in pods),
    )


def _item(view: JobView, item: ItemObservation, pod: PodView, children: Children) -> ItemObservation:
    ending = ending_of(pod, pod.end, children.nodes) if pod.end is not None else None
    failures = pod.failure_count + (ending is not None and ending.exit_code != 0 and not is_free(ending))
    if item.state in (RunState.SUCCEEDED, RunState.FAILED):
        return ItemObservation(item.state, max(failures, item.failures), ending or item.ending)
    if pod.started:
        progress = children.progress.get(pod.uid)
        return ItemObservation(
            RunState.RUNNING, failures, progress=progress if isinstance(progress, StageProgress) else None
        )
    if ending is not None and ending.exit_code == 0 and not view.suspended:
        return ItemObservation(RunState.RUNNING, failures)  # until the Job says that it has succeeded
    if ending is not None and ending.exit_code in NEVER_RETRIED:
        return ItemObservation(RunState.FAILED, pod.failure_count + 1, ending)
    if ending is not None and ending.exit_code != 0 and not view.suspended:
        return ItemObservation(RunState.WAITING, failures, ending)
    return ItemObservation(RunState.PENDING, failures, trouble=trouble_of(pod, children.warnings))


def _failed_item(view: JobView) -> ItemObservation:
    """Return a work item that has failed, and whose pod is gone or never was."""
    message = view.failure or "it failed, and its pod is gone"
    said = TerminationMessage(outcome="Failed", reason=Reason.PREPARATION_FAILED, message=message)
    return ItemObservation(RunState.FAILED, 1, Ending(int(ExitCode.INTERNAL_ERROR), said))


def _as_failed(item: ItemObservation, lost: ItemObservation) -> ItemObservation:
    """Return a work item of a Job that failed as a whole."""
    if item.state in (RunState.SUCCEEDED, RunState.FAILED):
        return item
    return replace(item, state=RunState.FAILED) if item.ending is not None else lost


def _trainer(children: Children) -> TrainerObservation:
    there = children.stateful_set
    pods = tuple(pod for pod in children.pods if pod.component == Component.TRAINER)
    seen = [_pod(pod, children) for pod in pods]
    if there is not None and not there.deleting:
        seen += _missing(there, pods, children)
        seen += [_departed(pod, children) for pod in children.departed if _was_wanted(pod, there)]
    first = next((pod for pod in pods if pod.index == 0), None)
    progress = children.progress.get(first.uid) if first is not None else None
    return TrainerObservation(
        num_nodes=there.replicas if there is not None else 0,
        pods=tuple(seen),
        progress=progress if isinstance(progress, TrainerProgress) else None,
        configuration=first.configuration if first is not None else None,
        unfinished=there is not None or any(not pod.ended for pod in pods),
    )


def _pod(pod: PodView, children: Children) -> PodObservation:
    if pod.started and pod.last_end is not None and not pod.deleting:
        before = last_ending_of(pod, pod.last_end)
        return PodObservation(_life(pod, -1), pod.index, RunState.RUNNING, before, node=pod.node)
    if pod.started:
        return PodObservation(_life(pod), pod.index, RunState.RUNNING, node=pod.node)
    if pod.deleting:  # its ending is told when it is gone
        return PodObservation(_life(pod), pod.index, RunState.PENDING, node=pod.node)
    if pod.end is not None:
        state = RunState.SUCCEEDED if pod.end.exit_code == 0 else RunState.FAILED
        return PodObservation(_life(pod), pod.index, state, ending_of(pod, pod.end, children.nodes), node=pod.node)
    if pod.ended:
        return _departed(pod, children)
    trouble = trouble_of(pod, children.warnings)
    return PodObservation(_life(pod), pod.index, RunState.PENDING, trouble=trouble, node=pod.node)


def _departed(pod: PodView, children: Children) -> PodObservation:
    ending = departure_of(pod, children.nodes)
    return PodObservation(_life(pod), pod.index, RunState.FAILED, ending, node=pod.node)


def _was_wanted(pod: PodView, there: StatefulSetView) -> bool:
    """Did a trainer pod end unasked? Those of another revision were sent away, and one that never ran is no loss."""
    return pod.component == Component.TRAINER and pod.revision == there.revision and pod.lived


def _missing(there: StatefulSetView, pods: tuple[PodView, ...], children: Children) -> Iterator[PodObservation]:
    """Yield the pods that the StatefulSet hasn't made yet."""
    indices = {pod.index for pod in pods}
    trouble = creation_trouble(there.name, children.warnings.get(there.uid))
    for rank in range(there.replicas):
        if rank not in indices:
            yield PodObservation(f"{there.uid}/{rank}", rank, RunState.PENDING, trouble=trouble)


def _life(pod: PodView, offset: int = 0) -> str:
    return f"{pod.uid}/{pod.restart_count + offset}"
