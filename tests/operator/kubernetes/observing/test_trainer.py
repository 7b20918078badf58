"""From the trainer's StatefulSet and its pods to what the plan sees."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from pretrain_api.names import Reason
from pretrain_api.spec.job import PretrainJob
from pretrain_api.status import PretrainJobStatus
from pretrain_api.wire import TrainerProgress
from pretrain_operator.kubernetes.observing import Children, NodeView, PodView, StatefulSetView, observe
from pretrain_operator.planning import RunState, TrainerObservation
from pretrain_operator.planning.failures import explain, is_free

NOW = datetime(2026, 1, 1, 0, 1, tzinfo=UTC)
Make = Callable[..., dict[str, Any]]
See = Callable[..., TrainerObservation]
RUNNING: dict[str, Any] = {"running": {}}
DELETED = "2026-01-01T00:00:30Z"


def ended(exit_code: int, reason: str = "Error") -> dict[str, Any]:
    return {"terminated": {"exitCode": exit_code, "reason": reason, "finishedAt": "2026-01-01T00:00:30Z"}}


@pytest.fixture
def see(make_job: Callable[..., PretrainJob], make_node: Make) -> See:
    """Observe the trainer; all nodes named in `nodes` are ready, unless their Ready condition is given."""

    def look(
        there: dict[str, Any] | None,
        *pods: dict[str, Any],
        departed: tuple[dict[str, Any], ...] = (),
        ready: str = "True",
        **more: Any,
    ) -> TrainerObservation:
        children = Children(
            pods=tuple(PodView.of(pod) for pod in pods),
            departed=tuple(PodView.of(pod) for pod in departed),
            stateful_set=StatefulSetView.of(there) if there is not None else None,
            nodes={"node-1": NodeView.of(make_node(ready))},
            **more,
        )
        return observe(make_job(), PretrainJobStatus(), (), children, NOW).trainer

    return look


def test_running_pods(see: See, make_stateful_set: Make, make_pod: Make) -> None:
    progress = TrainerProgress(state="Training")
    pods = [make_pod("trainer", rank, state=RUNNING) for rank in range(2)]
    seen = see(make_stateful_set(), *pods, progress={"trainer-0-uid": progress})
    assert [(pod.id, pod.node_rank, pod.state, pod.node) for pod in seen.pods] == [
        ("trainer-0-uid/0", 0, "Running", "node-1"),
        ("trainer-1-uid/0", 1, "Running", "node-1"),
    ]
    assert (seen.num_nodes, seen.progress, seen.configuration) == (2, progress, "c1")


def test_missing_pods_are_pending(see: See, make_stateful_set: Make, make_pod: Make) -> None:
    seen = see(make_stateful_set(), make_pod("trainer", state=RUNNING))
    assert [(pod.node_rank, pod.state) for pod in seen.pods] == [(0, "Running"), (1, "Pending")]


def test_each_life_has_one_ending(see: See, make_stateful_set: Make, make_pod: Make) -> None:
    """It may be seen ended, waiting for its restart, restarted, or gone: it is the same ending by the same id."""
    there = make_stateful_set(1)
    crash = ended(70)
    waiting = {"waiting": {"reason": "CrashLoopBackOff"}}
    looks = [
        see(there, make_pod("trainer", state=crash)),
        see(there, make_pod("trainer", state=waiting, last_state=crash)),
        see(there, make_pod("trainer", state=RUNNING, last_state=crash, restarts=1)),
        see(there, departed=(make_pod("trainer", state=crash, phase="Failed", deleted=DELETED),)),
    ]
    for seen in looks:
        pod = next(pod for pod in seen.pods if pod.ending is not None)
        assert pod.id == "trainer-0-uid/0"
        assert pod.ending is not None
        assert (pod.ending.exit_code, is_free(pod.ending)) == (70, False)
    assert [look.pods[0].state for look in looks[:3]] == [RunState.FAILED, RunState.FAILED, RunState.RUNNING]


@pytest.mark.parametrize(
    ("pod", "ready", "reason", "free"),
    [
        ({"state": ended(137, "OOMKilled")}, "True", Reason.OUT_OF_MEMORY, False),
        ({"state": ended(137)}, "True", Reason.KILLED, False),
        ({"state": ended(143)}, "True", Reason.STOPPED, True),
        ({"state": ended(137, "ContainerStatusUnknown")}, "True", Reason.NODE_LOST, True),
        ({"state": ended(137), "phase": "Failed", "reason": "Evicted"}, "True", Reason.EVICTED, True),
        ({"state": None, "phase": "Failed", "reason": "OutOfcpu"}, "True", Reason.EVICTED, True),
        ({"state": ended(143), "disruption": "TerminationByKubelet"}, "True", Reason.EVICTED, True),
    ],
)
def test_endings_of_pods_that_are_there(
    see: See, make_stateful_set: Make, make_pod: Make, pod: dict[str, Any], ready: str, reason: str, free: bool
) -> None:
    seen = see(make_stateful_set(1), make_pod("trainer", **pod), ready=ready)
    ending = seen.pods[0].ending
    assert ending is not None
    assert (explain("trainer 0", ending).reason, is_free(ending)) == (reason, free)


@pytest.mark.parametrize(
    ("pod", "ready", "reason"),
    [
        ({"state": RUNNING}, "True", Reason.POD_DELETED),
        ({"state": ended(143)}, "True", Reason.POD_DELETED),
        ({"state": ended(0)}, "True", Reason.POD_DELETED),
        ({"state": RUNNING}, "Unknown", Reason.NODE_LOST),
        ({"state": RUNNING, "disruption": "DeletionByTaintManager"}, "Unknown", Reason.NODE_LOST),
        ({"state": ended(143), "disruption": "DeletionByTaintManager"}, "True", Reason.EVICTED),
        ({"state": ended(143), "disruption": "EvictionByEvictionAPI"}, "True", Reason.EVICTED),
        ({"state": ended(137), "disruption": "PreemptionByScheduler"}, "True", Reason.EVICTED),
    ],
)
def test_endings_of_pods_that_are_gone_are_free(
    see: See, make_stateful_set: Make, make_pod: Make, pod: dict[str, Any], ready: str, reason: str
) -> None:
    gone = make_pod("trainer", deleted=DELETED, **pod)
    seen = see(make_stateful_set(1), departed=(gone,), ready=ready)
    ending = next(pod.ending for pod in seen.pods if pod.ending is not None)
    assert (explain("trainer 0", ending).reason, is_free(ending)) == (reason, True)


def test_the_operator_sends_pods_away_without_an_ending(see: See, make_stateful_set: Make, make_pod: Make) -> None:
    gone = make_pod("trainer", state=ended(143), deleted=DELETED)
    for there in (None, make_stateful_set(deleted=True), make_stateful_set(revision="r2")):
        assert all(pod.ending is None for pod in see(there, departed=(gone,)).pods)


def test_a_pod_that_never_ran_has_no_ending(see: See, make_stateful_set: Make, make_pod: Make) -> None:
    gone = make_pod("trainer", phase="Pending", deleted=DELETED)
    assert all(pod.ending is None for pod in see(make_stateful_set(), departed=(gone,)).pods)


@pytest.mark.parametrize("state", [RUNNING, {"waiting": {"reason": "ContainerCreating"}}, ended(143)])
def test_terminating_pods_are_active_until_they_are_gone(see: See, make_pod: Make, state: dict[str, Any]) -> None:
    assert see(None, make_pod("trainer", state=state, deleted=DELETED)).active
    assert not see(None).active


def test_recorded_departures(see: See, recorded: dict[str, Any]) -> None:
    nodes = {name: NodeView(name, True, NOW) for name in ("node-1", "node-2")}
    children = Children(
        stateful_set=StatefulSetView.of(recorded["trainer"]),
        departed=(PodView.of(recorded["evicted"]), PodView.of(recorded["deleted"])),
        nodes=nodes,
    )
    job = PretrainJob.model_construct()
    seen = observe(job, PretrainJobStatus(), (), children, NOW).trainer
    reasons = [explain("trainer", pod.ending).reason for pod in seen.pods if pod.ending is not None]
    assert reasons == [Reason.EVICTED, Reason.POD_DELETED]
