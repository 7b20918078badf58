"""From a stage's Job and its pods to what the plan sees."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from pretrain_api.names import Component, Reason
from pretrain_api.spec.job import PretrainJob
from pretrain_api.status import PretrainJobStatus
from pretrain_api.wire import StageProgress
from pretrain_operator.kubernetes.observing import Children, JobView, PodView, observe
from pretrain_operator.planning import RunState, StageObservation
from pretrain_operator.planning.failures import explain

NOW = datetime(2026, 1, 1, 0, 1, tzinfo=UTC)
Make = Callable[..., dict[str, Any]]
See = Callable[..., StageObservation]
SUCCESS = {"outcome": "Completed", "reason": "Completed", "counts": {"documentsIn": 3}}


def ended(exit_code: int, reason: str = "Error", message: str = "") -> dict[str, Any]:
    end = {"exitCode": exit_code, "reason": reason, "message": message, "finishedAt": "2026-01-01T00:00:30Z"}
    return {"terminated": end}


@pytest.fixture
def see(make_job: Callable[..., PretrainJob]) -> See:
    """Observe the stage clean."""

    def look(job: dict[str, Any] | None, *pods: dict[str, Any], **more: Any) -> StageObservation:
        views = (JobView.of(job),) if job is not None else ()
        children = Children(pods=tuple(PodView.of(pod) for pod in pods), jobs=views, **more)
        return observe(make_job(), PretrainJobStatus(), (), children, NOW).stages[Component.CLEAN]

    return look


def states(seen: StageObservation) -> list[RunState]:
    return [item.state for item in seen.items]


def test_items_are_done_failed_running_and_yet_to_come(see: See, make_stage_job: Make, make_pod: Make) -> None:
    seen = see(make_stage_job(6, completed="0-1,4", failed="3"), make_pod(index=2, state={"running": {}}))
    assert states(seen) == ["Succeeded", "Succeeded", "Running", "Failed", "Succeeded", "Pending"]
    assert seen.configuration == "c1"
    assert seen.active


def test_what_a_finished_pod_said_counts(see: See, make_stage_job: Make, make_pod: Make) -> None:
    pod = make_pod(state=ended(0, "Completed", json.dumps(SUCCESS)), phase="Succeeded")
    item = see(make_stage_job(1, completed="0", condition=("Complete", "")), pod).items[0]
    assert item.state is RunState.SUCCEEDED
    assert item.ending is not None
    assert item.ending.message is not None
    assert item.ending.message.counts == {"documentsIn": 3}


def test_an_item_runs_until_the_job_says_that_it_is_done(see: See, make_stage_job: Make, make_pod: Make) -> None:
    pod = make_pod(state=ended(0, "Completed", json.dumps(SUCCESS)), phase="Succeeded")
    assert states(see(make_stage_job(1), pod)) == ["Running"]


def test_a_failed_item_waits_for_its_next_try(see: See, make_stage_job: Make, make_pod: Make) -> None:
    said = json.dumps({"outcome": "Failed", "reason": "StorageFull", "message": "/s: full; make room"})
    first = make_pod(state=ended(75, message=said), phase="Failed", failures=1)
    item = see(make_stage_job(1), first).items[0]
    assert (item.state, item.failures) == (RunState.WAITING, 2)
    assert item.ending is not None
    assert explain("clean 0", item.ending).message == "clean 0: /s: full; make room"
    again = make_pod(state={"running": {}}, failures=2, uid="next", created="2026-01-01T00:00:40Z")
    item = see(make_stage_job(1), again, first).items[0]
    assert (item.state, item.failures) == (RunState.RUNNING, 2)


def test_an_eviction_is_no_failure_of_the_item(see: See, make_stage_job: Make, make_pod: Make) -> None:
    pod = make_pod(state=ended(137), phase="Failed", disruption="PreemptionByScheduler")
    item = see(make_stage_job(1), pod).items[0]
    assert (item.state, item.failures) == (RunState.WAITING, 0)
    assert item.ending is not None
    assert item.ending.reason == Reason.EVICTED
    assert "PreemptionByScheduler" in explain("clean 0", item.ending).message


def test_a_failure_names_its_log(see: See, make_stage_job: Make, make_pod: Make) -> None:
    item = see(make_stage_job(1, failed="0"), make_pod(state=ended(137, "OOMKilled"), phase="Failed")).items[0]
    assert item.state is RunState.FAILED
    assert item.ending is not None
    failure = explain("clean 0", item.ending)
    assert failure.reason == Reason.OUT_OF_MEMORY
    assert failure.message.endswith("its log is `kubectl logs -n research tiny-clean-0`")


def test_a_job_that_failed_as_a_whole_fails_what_is_left(see: See, make_stage_job: Make) -> None:
    seen = see(make_stage_job(3, completed="1", condition=("Failed", "DeadlineExceeded")))
    assert states(seen) == ["Failed", "Succeeded", "Failed"]
    assert seen.items[0].ending is not None
    assert "DeadlineExceeded" in explain("clean 0", seen.items[0].ending).message
    assert not seen.active


def test_progress_is_that_of_the_running_pod(see: See, make_stage_job: Make, make_pod: Make) -> None:
    progress = StageProgress(stage="clean", documents_in=5)
    pods = [make_pod(index=index, state={"running": {}}) for index in range(2)]
    seen = see(make_stage_job(2), *pods, progress={"clean-1-uid": progress})
    assert [item.progress for item in seen.items] == [None, progress]


@pytest.mark.parametrize("state", [{"waiting": {"reason": "ContainerCreating"}}, {"running": {}}, None])
def test_pods_that_have_not_ended_are_active(
    see: See, make_stage_job: Make, make_pod: Make, state: dict[str, Any] | None
) -> None:
    suspended = make_stage_job(1, suspend=True)
    pod = make_pod(state=state, phase="Pending", deleted="2026-01-01T00:00:00Z")
    assert see(suspended, pod).active
    assert not see(suspended).active
    assert not see(suspended, make_pod(state=ended(143), phase="Failed")).active


def test_a_job_that_may_begin_any_moment_is_active(see: See, make_stage_job: Make) -> None:
    assert see(make_stage_job(1)).active
    assert not see(make_stage_job(1)).running


def test_pods_of_an_earlier_job_do_not_count(see: See, make_stage_job: Make, make_pod: Make) -> None:
    old = make_pod(state=ended(65), phase="Failed", owner="earlier", created="2026-01-01T00:00:50Z")
    assert states(see(make_stage_job(1), old)) == ["Pending"]
    left = make_pod(state={"running": {}}, owner="earlier")
    seen = see(None, left)
    assert (seen.configuration, seen.items, seen.active) == ("", (), True)


def test_a_job_being_deleted_counts_for_nothing_but_its_pods(see: See, make_stage_job: Make, make_pod: Make) -> None:
    job = make_stage_job(1, completed="0")
    job["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert see(job, make_pod(state={"running": {}})).configuration == ""


def test_a_hundred_thousand_items_are_cheap(see: See, make_stage_job: Make, make_pod: Make) -> None:
    job = make_stage_job(100_000, completed="0-49999", failed="60000-69999", condition=("Failed", "FailedIndexes"))
    begin = time.perf_counter()
    seen = see(job, make_pod(index=70_000, state=ended(65), phase="Failed"))
    assert time.perf_counter() - begin < 1.0
    assert len(seen.items) == 100_000
    assert len({id(item) for item in seen.items}) <= 4


def test_recorded_objects(see: See, recorded: dict[str, Any], make_job: Callable[..., PretrainJob]) -> None:
    seen = see(recorded["running-job"], recorded["running-item"])
    assert states(seen) == ["Running", "Pending", "Pending"]
    children = Children(pods=(PodView.of(recorded["failed-item"]),), jobs=(JobView.of(recorded["failed-job"]),))
    failed = observe(make_job(), PretrainJobStatus(), (), children, NOW).stages[Component.TOKENIZE]
    assert states(failed) == ["Failed", "Failed"]
    assert failed.items[0].ending is not None
    assert "stat /nope" in explain("tokenize 0", failed.items[0].ending).message
