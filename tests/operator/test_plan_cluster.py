"""The plan where a cluster carries it out: troubles, lost counts, requested rollbacks, time to live, small statuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pretrain_api.names import Component, ConditionType, Phase, Reason
from pretrain_api.spec.job import PretrainJob
from pretrain_api.status import PodEnding, PretrainJobStatus
from pretrain_api.wire import TerminationMessage, TrainerProgress
from pretrain_operator.planning import (
    Ending,
    ItemObservation,
    Observed,
    Plan,
    PodObservation,
    RunState,
    StageObservation,
    TrainerObservation,
    TrainerSet,
    Trouble,
    plan,
)
from pretrain_operator.planning.bounds import MAX_STATUS_BYTES, bound, cut
from pretrain_operator.planning.conditions import get_condition, is_true
from pretrain_operator.planning.stages import preparation_stages, stage_configurations, training_configuration

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MakeJob = Callable[..., PretrainJob]
UNSCHEDULABLE = Trouble(Reason.UNSCHEDULABLE, "tiny-clean-0: 0/2 nodes are available; the pod waits until a node fits")


def annotated(job: PretrainJob, text: str) -> PretrainJob:
    metadata = job.metadata.model_copy(update={"annotations": {"pretrain.dev/rollback": text}})
    return job.model_copy(update={"metadata": metadata})


def prepared(job: PretrainJob) -> PretrainJobStatus:
    configurations = stage_configurations(job, "")
    seen = {}
    for stage in preparation_stages(job):
        total = job.spec.data.shards if stage in ("clean", "dedup-pairs", "tokenize") else 1
        seen[stage] = StageObservation(configurations[stage], (ItemObservation(RunState.SUCCEEDED),) * total)
    return plan(job, Observed(stages=seen), NOW).status


def cleaning(job: PretrainJob, *items: ItemObservation, unfinished: bool = False) -> Observed:
    stage = StageObservation(stage_configurations(job, "")[Component.CLEAN], items, unfinished)
    return Observed(stages={Component.CLEAN: stage})


def done(**counts: int) -> ItemObservation:
    message = TerminationMessage(outcome="Completed", reason="Completed", counts=dict(counts))
    return ItemObservation(RunState.SUCCEEDED, ending=Ending(0, message))


def pod(state: RunState = RunState.RUNNING, rank: int = 0, life: int = 0, **more: Any) -> PodObservation:
    return PodObservation(id=f"pod-{rank}/{life}", node_rank=rank, state=state, **more)


def training(job: PretrainJob, *pods: PodObservation, previous: PretrainJobStatus | None = None, **more: Any) -> Plan:
    trainer = TrainerObservation(**{"num_nodes": 1, "pods": pods, **more})
    return plan(job, Observed(previous=previous or prepared(job), trainer=trainer), NOW)


PROGRESS = TrainerProgress.model_validate({"state": "Training", "training": {"step": 7}})


def test_a_trouble_is_told_once_and_goes_when_it_is_solved(make_job: MakeJob) -> None:
    job = make_job()
    first = plan(job, cleaning(job, ItemObservation(trouble=UNSCHEDULABLE), *(ItemObservation(),) * 2), NOW)
    running = get_condition(first.status, ConditionType.RUNNING)
    assert running is not None
    assert (running.status, running.reason, running.message) == ("False", "Unschedulable", UNSCHEDULABLE.message)
    assert ("Warning", "Unschedulable", UNSCHEDULABLE.message) in [(e.type, e.reason, e.message) for e in first.events]
    other = replace(UNSCHEDULABLE, message="tiny-clean-0: 0/3 nodes are available; the pod waits until a node fits")
    observed = cleaning(job, ItemObservation(trouble=other), *(ItemObservation(),) * 2)
    again = plan(job, replace(observed, previous=first.status), NOW)
    assert again.events == ()
    solved = cleaning(job, ItemObservation(RunState.RUNNING), *(ItemObservation(),) * 2)
    after = plan(job, replace(solved, previous=again.status), NOW).status
    running = get_condition(after, ConditionType.RUNNING)
    assert running is not None
    assert (running.status, running.reason) == ("True", "Preparing")


def test_a_trainer_with_a_pod_that_cannot_start_does_not_run(make_job: MakeJob) -> None:
    waiting = pod(RunState.PENDING, rank=1, trouble=UNSCHEDULABLE)
    status = training(make_job({"trainer.numNodes": 2}), pod(), waiting, num_nodes=2).status
    running = get_condition(status, ConditionType.RUNNING)
    assert running is not None
    assert (running.status, running.reason) == ("False", "Unschedulable")


def test_counts_stay_when_finished_pods_are_gone(make_job: MakeJob) -> None:
    job = make_job()
    counts = {"documentsIn": 10, "documentsOut": 8, "bytesIn": 100, "removed.too-short": 2}
    seen = cleaning(job, done(**counts), done(**counts), ItemObservation())
    first = plan(job, seen, NOW).status
    collected = cleaning(job, *(ItemObservation(RunState.SUCCEEDED),) * 2, ItemObservation())
    second = plan(job, replace(collected, previous=first), NOW).status
    assert second.data_preparation == first.data_preparation
    assert second.data_preparation is not None
    stage = second.data_preparation.stages[0]
    assert (stage.documents_in, stage.removed) == (20, {"too-short": 4})


def test_another_configuration_counts_anew(make_job: MakeJob) -> None:
    job, changed = make_job(), make_job({"data.clean": {"preset": "none"}})
    first = plan(job, cleaning(job, done(documentsIn=10), *(ItemObservation(),) * 2), NOW).status
    seen = cleaning(changed, done(documentsIn=3), *(ItemObservation(),) * 2)
    second = plan(changed, replace(seen, previous=first), NOW).status
    assert second.data_preparation is not None
    assert second.data_preparation.stages[0].documents_in == 3


def test_a_requested_rollback_reaches_the_trainer(make_job: MakeJob) -> None:
    text = '{"id": "a1", "toStep": 1000, "skipSequences": null}'
    child = training(annotated(make_job(), text)).children[0]
    assert isinstance(child, TrainerSet)
    assert json.loads(child.environment["PRETRAIN_ROLLBACK"]) == json.loads(text)
    plain = training(make_job()).children[0]
    assert isinstance(plain, TrainerSet)
    assert "PRETRAIN_ROLLBACK" not in plain.environment


@pytest.mark.parametrize("text", ["{", "[]", '{"id": "a1"}', '{"id": "", "toStep": 1}', '{"id": "a", "toStep": -1}'])
def test_a_request_that_makes_no_sense_is_told_and_ignored(make_job: MakeJob, text: str) -> None:
    job = annotated(make_job(), text)
    decision = training(job, previous=prepared(make_job()))
    child = decision.children[0]
    assert isinstance(child, TrainerSet)
    assert "PRETRAIN_ROLLBACK" not in child.environment
    valid = get_condition(decision.status, ConditionType.VALID)
    assert valid is not None
    assert (valid.status, valid.reason) == ("True", "InvalidAnnotation")
    assert valid.message.startswith("metadata.annotations[pretrain.dev/rollback]")
    assert "pretrain rollback" in valid.message
    assert "InvalidAnnotation" in [event.reason for event in decision.events]
    assert training(job, previous=decision.status).events == ()
    mended = get_condition(training(make_job(), previous=decision.status).status, ConditionType.VALID)
    assert mended is not None
    assert mended.reason == "Accepted"


def test_finished_jobs_are_deleted_in_time(make_job: MakeJob) -> None:
    job = make_job({"ttlSecondsAfterFinished": 100, "activeDeadlineSeconds": 10})
    failed = plan(job, Observed(previous=prepared(job)), NOW + timedelta(seconds=11))
    assert is_true(failed.status, ConditionType.FAILED)
    assert not failed.delete_job
    report = failed.children[0]
    assert not isinstance(report, TrainerSet)
    written = StageObservation(report.configuration, (ItemObservation(RunState.SUCCEEDED),))
    observed = Observed(previous=failed.status, stages={Component.REPORT: written})
    waiting = plan(job, observed, NOW + timedelta(seconds=21))
    assert (waiting.settled, waiting.delete_job, waiting.next_look_seconds) == (True, False, 90)
    over = plan(job, replace(observed, previous=waiting.status), NOW + timedelta(seconds=111))
    assert (over.delete_job, over.next_look_seconds) == (True, None)
    stays = make_job({"activeDeadlineSeconds": 10})
    kept = plan(stays, replace(observed, previous=waiting.status), NOW + timedelta(days=999))
    assert (kept.delete_job, kept.next_look_seconds) == (False, None)


def test_suspended_jobs_are_not_deleted(make_job: MakeJob) -> None:
    job = make_job({"ttlSecondsAfterFinished": 0, "suspend": True})
    decision = plan(job, Observed(previous=prepared(job)), NOW)
    assert (decision.settled, decision.delete_job) == (True, False)


def test_a_running_pod_may_tell_how_its_life_before_ended(make_job: MakeJob) -> None:
    job = make_job()
    restarted = pod(ending=Ending(70), node="node-7")
    first = training(job, restarted).status
    assert (first.restarts.total, first.restarts.counted) == (1, 1)
    assert first.restarts.last is not None
    assert first.restarts.last.node == "node-7"
    assert training(job, restarted, previous=first).status.restarts == first.restarts


def test_what_a_trainer_of_another_configuration_says_completes_nothing(make_job: MakeJob) -> None:
    job = make_job()
    configuration = training_configuration(job, stage_configurations(job, "")[Component.BLEND])
    completed = TrainerProgress.model_validate({"state": "Completed", "training": {"step": 30}})
    old = training(job, pod(), progress=completed, configuration="of an earlier goal")
    assert [child.component for child in old.children] == [Component.TRAINER]
    now = training(job, pod(), progress=completed, configuration=configuration)
    assert now.status.completed_configuration == configuration


def test_a_missing_pod_means_restarting(make_job: MakeJob) -> None:
    job = make_job({"trainer.numNodes": 2})
    both = training(job, pod(), pod(rank=1), num_nodes=2, progress=PROGRESS).status
    assert both.phase is Phase.TRAINING
    missing = pod(RunState.PENDING, rank=1, life=1)
    lost = training(job, pod(), missing, num_nodes=2, progress=PROGRESS, previous=both).status
    assert lost.phase is Phase.RESTARTING
    back = training(job, pod(), pod(rank=1, life=1), num_nodes=2, progress=PROGRESS, previous=lost).status
    assert back.phase is Phase.TRAINING


def test_resumed_and_rescaled_trainers_do_not_look_broken(make_job: MakeJob) -> None:
    job = make_job({"trainer.numNodes": 2})
    begun = training(job, pod(), num_nodes=2, progress=PROGRESS).status
    for phase, shown in ((Phase.SUSPENDED, Phase.STARTING), (Phase.RESCALING, Phase.RESCALING)):
        status = begun.model_copy(update={"phase": phase}, deep=True)
        none = training(job, num_nodes=0, previous=status).status
        pending = training(job, pod(RunState.PENDING), pod(RunState.PENDING, 1), num_nodes=2, previous=none).status
        assert (none.phase, pending.phase) == (shown, shown)


def test_suspending_lasts_until_all_pods_are_gone(make_job: MakeJob) -> None:
    job = make_job({"suspend": True})
    starting = plan(job, cleaning(job, *(ItemObservation(),) * 3, unfinished=True), NOW)
    assert (starting.status.phase, starting.settled) == (Phase.SUSPENDING, False)
    gone = cleaning(job, ItemObservation(RunState.SUCCEEDED), *(ItemObservation(),) * 2)
    rested = plan(job, replace(gone, previous=starting.status), NOW)
    assert (rested.status.phase, rested.settled) == (Phase.SUSPENDED, True)
    ending = training(job, num_nodes=0, unfinished=True)
    assert ending.status.phase is Phase.SUSPENDING


def test_a_deadline_in_the_past_asks_for_no_look_after_look(make_job: MakeJob) -> None:
    job = make_job({"activeDeadlineSeconds": 10})
    failed = plan(job, Observed(previous=prepared(job)), NOW + timedelta(seconds=50))
    assert not failed.settled
    assert failed.next_look_seconds is None


def huge_status(text: str) -> PretrainJobStatus:
    stage = {"state": "Failed", "message": text, "removed": {f"reason-{i:060}": i for i in range(5000)}}
    last = {"time": "2026-01-01T00:00:00Z", "reason": text, "message": text}
    rollback = {
        "time": "2026-01-01T00:00:00Z",
        "reason": text,
        "detectedAtStep": 10**9,
        "resumedFromStep": 10**9,
        "skippedSequences": {"from": 10**12, "to": 10**12},
        "loss": 1 / 3,
        "baseline": 1 / 3,
    }
    return PretrainJobStatus.model_validate(
        {
            "conditions": [
                {"type": kind, "status": "True", "reason": "Many", "message": text} for kind in ConditionType
            ],
            "dataPreparation": {"stages": [{"name": name, **stage} for name in list(Component)[:6]]},
            "report": {"name": "report", **stage},
            "rollbacks": [rollback] * 500,
            "restarts": {"last": last, "recent": [endless(i) for i in range(5000)]},
        }
    )


def endless(number: int) -> PodEnding:
    return PodEnding(id=f"{number:036}/17", time="2026-01-01T00:00:00Z", counted=False)


@pytest.mark.parametrize("text", ["x" * 50_000, '\x00\\"' * 20_000, "é𝕏\n" * 20_000])
def test_a_status_stays_small(text: str) -> None:
    status = huge_status(text)
    bound(status)
    written = status.model_dump_json(by_alias=True, exclude_none=True)
    assert len(json.dumps(json.loads(written), ensure_ascii=False).encode()) < MAX_STATUS_BYTES
    assert len(status.rollbacks) == 20
    assert status.restarts.recent[-1] == endless(4999)
    again = status.model_copy(deep=True)
    bound(again)
    assert again == status


@given(st.text(), st.integers(8, 40))
def test_texts_are_cut_where_they_are_too_long(text: str, most: int) -> None:
    kept = cut(text, most)
    assert len(json.dumps(kept, ensure_ascii=False).encode()) <= most
    assert kept == text or (kept.endswith("…") and text.startswith(kept[:-1]))
