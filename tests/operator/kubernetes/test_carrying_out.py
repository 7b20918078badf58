"""What is done about the difference between what is wanted and what is there."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from pretrain_api.names import Component
from pretrain_api.status import PodEnding, PretrainJobStatus
from pretrain_operator.kubernetes import manifests
from pretrain_operator.kubernetes.carrying_out import (
    Apply,
    Delete,
    Doing,
    Patch,
    carry_out,
    clear_out,
    fingerprint,
    replacement_delay,
)
from pretrain_operator.kubernetes.config import OperatorConfig
from pretrain_operator.kubernetes.observing import Children, JobView, PodView, StatefulSetView
from pretrain_operator.planning import Child, Plan, StageRun
from pretrain_operator.planning.training import trainer_set

from .test_manifests import job as build_job

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CONFIG = OperatorConfig()
JOB = build_job()
RUN = StageRun(Component.CLEAN, ("python", "-m", "pretrain_dataprep", "clean"), 3, 2, "today")
TRAINER = trainer_set(JOB, "today", 2)


def do(children: Children, *wanted: Child, applied: dict[str, str] | None = None, job: Any = JOB) -> Doing:
    return carry_out(job, Plan(wanted, PretrainJobStatus()), children, CONFIG, applied or {}, NOW)


def applied_kinds(doing: Doing) -> list[str]:
    return [action.manifest["kind"] for action in doing.actions if isinstance(action, Apply)]


def stage_view(**changes: Any) -> JobView:
    body = manifests.stage_job(JOB, RUN, CONFIG)
    body["metadata"] |= {"uid": "job-uid", "creationTimestamp": "2026-01-01T00:00:00Z"}
    return replace(JobView.of(body), **changes)


def set_view(**changes: Any) -> StatefulSetView:
    body = manifests.trainer_objects(JOB, TRAINER, CONFIG)[0]
    body["metadata"] |= {"uid": "set-uid", "creationTimestamp": "2026-01-01T00:00:00Z"}
    return replace(StatefulSetView.of(body), **changes)


def pod(component: Component, ended: bool = False) -> PodView:
    body = {
        "metadata": {
            "name": f"small-{component}-0",
            "namespace": "team",
            "uid": "pod-uid",
            "labels": {"pretrain.dev/job": "small", "pretrain.dev/component": component},
            "creationTimestamp": "2026-01-01T00:00:00Z",
        },
        "status": {"phase": "Running", "containerStatuses": [container(component, ended)]},
    }
    return PodView.of(body)


def container(name: str, ended: bool) -> dict[str, Any]:
    finished = {"exitCode": 70, "finishedAt": "2026-01-01T00:00:00Z"}
    return {"name": name, "state": {"terminated": finished} if ended else {"running": {}}, "restartCount": 0}


def test_a_stage_begins_with_its_storage_and_configuration() -> None:
    assert applied_kinds(do(Children(), RUN)) == ["PersistentVolumeClaim", "ConfigMap", "Job"]


def test_what_is_there_is_left_alone() -> None:
    assert do(Children(jobs=(stage_view(),)), RUN).actions == ()
    assert do(Children(stateful_set=set_view()), TRAINER).actions == ()


def test_nothing_is_applied_twice_as_it_is() -> None:
    first = do(Children(), RUN)
    applied = {action.name: fingerprint(action.manifest) for action in first.actions if isinstance(action, Apply)}
    assert do(Children(), RUN, applied=applied).actions == ()


def test_a_stage_that_depends_on_something_else_now_is_made_anew_when_the_old_one_is_gone() -> None:
    old = stage_view(configuration="yesterday")
    (gone,) = do(Children(jobs=(old,)), RUN).actions
    assert isinstance(gone, Delete)
    assert gone.uid == "job-uid"
    assert do(Children(jobs=(replace(old, deleting=True),)), RUN).actions == ()
    assert do(Children(pods=(pod(Component.CLEAN),)), RUN).actions == ()
    assert "Job" in applied_kinds(do(Children(), RUN))


def test_more_workers_are_a_change_in_place() -> None:
    (change,) = do(Children(jobs=(stage_view(),)), replace(RUN, parallelism=3)).actions
    assert isinstance(change, Patch)
    assert change.change == {"spec": {"parallelism": 3}}


def test_what_is_not_wanted_rests_and_goes_on() -> None:
    (rest,) = do(Children(jobs=(stage_view(),))).actions
    assert isinstance(rest, Patch)
    assert rest.change == {"spec": {"suspend": True}}
    (on,) = do(Children(jobs=(stage_view(suspended=True),)), RUN).actions
    assert isinstance(on, Patch)
    assert on.change == {"spec": {"suspend": False}}
    assert do(Children(jobs=(stage_view(succeeded=True),))).actions == ()


def test_a_stage_that_is_done_is_left_alone_before_its_job_says_so() -> None:
    done = stage_view()
    assert do(Children(jobs=(replace(done, completed=(range(done.completions),)),))).actions == ()


def test_kueue_suspends_its_jobs_itself_so_what_is_not_wanted_goes() -> None:
    (gone,) = do(Children(jobs=(stage_view(),)), job=build_job(queueName="gpu")).actions
    assert isinstance(gone, Delete)


def test_there_are_never_two_trainers() -> None:
    old = set_view(revision="yesterday")
    (gone,) = do(Children(stateful_set=old, pods=(pod(Component.TRAINER),)), TRAINER).actions
    assert isinstance(gone, Delete)
    assert gone.target.kind == "StatefulSet"
    assert "StatefulSet" not in applied_kinds(do(Children(pods=(pod(Component.TRAINER),)), TRAINER))
    assert "StatefulSet" in applied_kinds(do(Children(), TRAINER))


def test_a_trainer_pod_that_ended_is_replaced_at_once() -> None:
    (replaced,) = do(Children(stateful_set=set_view(), pods=(pod(Component.TRAINER, ended=True),)), TRAINER).actions
    assert isinstance(replaced, Delete)
    assert (replaced.target.kind, replaced.uid, replaced.grace_seconds) == ("Pod", "pod-uid", None)


def test_pods_that_keep_ending_wait_longer_each_time() -> None:
    def after(failures: int) -> float:
        status = PretrainJobStatus()
        times = [NOW - timedelta(seconds=10 * number) for number in range(failures)]
        status.restarts.recent = [
            PodEnding(id=str(number), time=time.strftime("%Y-%m-%dT%H:%M:%SZ")) for number, time in enumerate(times)
        ]
        return replacement_delay(status, NOW)

    assert [after(failures) for failures in (0, 3, 4, 5, 30)] == [0.0, 0.0, 2.0, 4.0, 60.0]


def test_a_deleted_job_takes_everything_with_it() -> None:
    children = Children(jobs=(stage_view(succeeded=True),), stateful_set=set_view())
    assert {each.target.kind for each in clear_out(JOB, children, NOW).actions if isinstance(each, Delete)} == {
        "Job",
        "StatefulSet",
    }
