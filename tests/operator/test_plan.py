"""The plan, case by case: a job, what is seen, and what should be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pretrain_api.names import Component, ConditionType, Phase, Reason, StageState
from pretrain_api.spec.job import PretrainJob
from pretrain_api.status import PretrainJobStatus
from pretrain_api.wire import StageProgress, TerminationMessage, TrainerProgress
from pretrain_operator.planning import (
    Ending,
    ItemObservation,
    Observed,
    Plan,
    PodObservation,
    RetryPolicy,
    RunState,
    StageObservation,
    StageRun,
    TrainerObservation,
    TrainerSet,
    Trouble,
    plan,
)
from pretrain_operator.planning.conditions import get_condition, is_true
from pretrain_operator.planning.failures import explain, retry_delay
from pretrain_operator.planning.stages import preparation_stages, stage_configurations

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MakeJob = Callable[..., PretrainJob]


def finished(job: PretrainJob, *stages: Component, counts: dict[str, int] | None = None) -> dict[Component, Any]:
    """Return observations in which `stages` have succeeded."""
    configurations = stage_configurations(job, "")
    message = TerminationMessage(outcome="Completed", reason="Completed", counts=dict(counts or {}))
    seen = {}
    for stage in stages:
        total = job.spec.data.shards if stage in ("clean", "dedup-pairs", "tokenize") else 1
        item = ItemObservation(RunState.SUCCEEDED, ending=Ending(0, message))
        seen[stage] = StageObservation(configurations[stage], (item,) * total)
    return seen


def prepared(job: PretrainJob) -> PretrainJobStatus:
    """Return the status of a job whose data is prepared."""
    observed = Observed(stages=finished(job, *preparation_stages(job)))
    return plan(job, observed, NOW).status


def pod(state: RunState = RunState.RUNNING, ending: Ending | None = None, life: int = 0) -> PodObservation:
    return PodObservation(id=f"pod-{life}", node_rank=0, state=state, ending=ending)


def training(state: str = "Training", step: int = 7, **more: Any) -> TrainerProgress:
    return TrainerProgress.model_validate({"state": state, "training": {"step": step}, **more})


def only_child(decision: Plan) -> StageRun | TrainerSet:
    assert len(decision.children) == 1
    return decision.children[0]


def test_first_look_starts_cleaning(make_job: MakeJob) -> None:
    decision = plan(make_job(), Observed(), NOW)
    run = only_child(decision)
    assert isinstance(run, StageRun)
    assert run.component is Component.CLEAN
    assert run.command == ("python", "-m", "pretrain_dataprep", "clean")
    assert (run.completions, run.parallelism) == (3, 2)
    assert decision.status.phase is Phase.PREPARING
    assert decision.status.start_time == "2026-01-01T00:00:00Z"
    assert is_true(decision.status, ConditionType.VALID)
    assert not is_true(decision.status, ConditionType.DATA_READY)


@pytest.mark.parametrize(
    ("changes", "stages"),
    [
        ({}, ["clean", "dedup-pairs", "dedup-clusters", "tokenizer", "tokenize", "blend"]),
        (
            {"data.clean": {"quality": {"uri": "/q.bin", "label": "__label__good"}}},
            ["filter-models", "clean", "dedup-pairs", "dedup-clusters", "tokenizer", "tokenize", "blend"],
        ),
        (
            {"data.clean": {"clusters": {"maxShare": 0.1}}},
            ["filter-models", "clean", "dedup-pairs", "dedup-clusters", "tokenizer", "tokenize", "blend"],
        ),
        (
            {"data.augment": [{"source": "web", "method": "concatenate", "share": 0.1}]},
            ["clean", "dedup-pairs", "dedup-clusters", "tokenizer", "augment-plan", "tokenize", "blend"],
        ),
        (
            {"data.dedup": {"exact": "none", "near": None}},
            ["clean", "dedup-pairs", "dedup-clusters", "tokenizer", "tokenize", "blend"],
        ),
        (
            {"data.tokenizer": {"uri": "/t.model"}},
            ["clean", "dedup-pairs", "dedup-clusters", "tokenizer", "tokenize", "blend"],
        ),
        ({"data.sources": [], "data.tokenized": [{"name": "a", "uri": "/a.bin"}]}, ["blend"]),
        (
            {
                "data.sources": [],
                "data.tokenized": [{"name": "a", "uri": "/a.bin"}],
                "data.tokenizer": {"uri": "/t.model"},
            },
            ["tokenizer", "blend"],
        ),
        ({"data.sources": [], "data.prepared": "file:///other"}, ["blend"]),
    ],
)
def test_stages_of_a_job(make_job: MakeJob, changes: dict[str, Any], stages: list[str]) -> None:
    assert list(preparation_stages(make_job(changes))) == stages


@pytest.mark.parametrize(
    ("changes", "first_changed"),
    [
        ({"data.clean": {"preset": "none"}}, Component.CLEAN),
        ({"data.sources": [{"name": "web", "uri": "sample://python", "weight": 2.0}]}, Component.TOKENIZER),
        ({"data.tokenizer": {"train": {"vocabSize": 400}}}, Component.TOKENIZER),
        ({"data.split": {"validation": 0.1}}, Component.TOKENIZE),
        ({"training.tokens": 40960}, Component.BLEND),
        ({"data.workers": 1, "checkpoint": {"everySteps": 3}}, None),
    ],
)
def test_a_change_redoes_what_depends_on_it(
    make_job: MakeJob, changes: dict[str, Any], first_changed: Component | None
) -> None:
    before = stage_configurations(make_job(), "")
    after = stage_configurations(make_job(changes), "")
    changed = [stage for stage in before if before[stage] != after[stage]]
    stages = list(before)
    assert changed == (stages[stages.index(first_changed) :] if first_changed is not None else [])


def test_another_augmentation_is_planned_anew(make_job: MakeJob) -> None:
    entry = {"source": "web", "method": "concatenate", "share": 0.1}
    plain, one = make_job(), make_job({"data.augment": [entry]})
    more = make_job({"data.augment": [{**entry, "share": 0.2}]})
    hashes = [stage_configurations(job, "") for job in (plain, one, more)]
    assert hashes[0][Component.TOKENIZER] == hashes[1][Component.TOKENIZER] == hashes[2][Component.TOKENIZER]
    for stage in (Component.TOKENIZE, Component.BLEND):
        assert len({each[stage] for each in hashes}) == 3
    assert hashes[1][Component.AUGMENT_PLAN] != hashes[2][Component.AUGMENT_PLAN]


def test_changed_inputs_redo_everything(make_job: MakeJob) -> None:
    job = make_job()
    assert not set(stage_configurations(job, "a").values()) & set(stage_configurations(job, "b").values())


def test_next_stage_starts_when_all_items_have_succeeded(make_job: MakeJob) -> None:
    job = make_job()
    partly = replace(
        finished(job, Component.CLEAN)[Component.CLEAN],
        items=(ItemObservation(RunState.SUCCEEDED), ItemObservation(RunState.SUCCEEDED), ItemObservation()),
    )
    assert only_child(plan(job, Observed(stages={Component.CLEAN: partly}), NOW)).component is Component.CLEAN
    done = plan(job, Observed(stages=finished(job, Component.CLEAN)), NOW)
    assert only_child(done).component is Component.DEDUP_PAIRS


def test_stages_add_up_their_items(make_job: MakeJob) -> None:
    job = make_job()
    counts = {"documentsIn": 10, "documentsOut": 7, "removed.too-short": 3}
    done = finished(job, Component.CLEAN, counts=counts)[Component.CLEAN]
    progress = StageProgress(stage="clean", documents_in=4, documents_out=4, message="reading a.jsonl")
    items = (*done.items[:2], ItemObservation(RunState.RUNNING, progress=progress))
    status = plan(job, Observed(stages={Component.CLEAN: replace(done, items=items)}), NOW).status
    assert status.data_preparation is not None
    stage = status.data_preparation.stages[0]
    assert (stage.completed, stage.total, stage.documents_in, stage.documents_out) == (2, 3, 24, 18)
    assert stage.removed == {"too-short": 6}
    assert stage.message == "reading a.jsonl"


def test_finished_stages_are_remembered_without_their_children(make_job: MakeJob) -> None:
    job = make_job()
    status = prepared(job)
    assert only_child(plan(job, Observed(previous=status), NOW)).component is Component.TRAINER
    lost = Observed(previous=status, missing_outputs=frozenset({Component.TOKENIZE, Component.BLEND}))
    assert only_child(plan(job, lost, NOW)).component is Component.TOKENIZE


def test_children_of_another_configuration_do_not_count(make_job: MakeJob) -> None:
    old = finished(make_job({"data.clean": {"preset": "none"}}), Component.CLEAN)
    assert only_child(plan(make_job(), Observed(stages=old), NOW)).component is Component.CLEAN


def test_trainer(make_job: MakeJob) -> None:
    job = make_job({"trainer": {"numNodes": 4, "numProcPerNode": 8}})
    decision = plan(job, Observed(previous=prepared(job)), NOW)
    trainer = only_child(decision)
    assert isinstance(trainer, TrainerSet)
    assert (trainer.num_nodes, trainer.num_proc_per_node) == (4, 8)
    assert dict(trainer.environment) == {
        "PET_NNODES": "4",
        "PET_NPROC_PER_NODE": "8",
        "PRETRAIN_WAIT_WHEN_COMPLETED": "true",
    }
    assert decision.status.phase is Phase.STARTING
    assert is_true(decision.status, ConditionType.DATA_READY)


@pytest.mark.parametrize(
    ("state", "phase"),
    [
        ("Starting", Phase.STARTING),
        ("Training", Phase.TRAINING),
        ("RollingBack", Phase.ROLLING_BACK),
        ("Restarting", Phase.RESTARTING),
    ],
)
def test_phase_follows_the_trainer(make_job: MakeJob, state: str, phase: Phase) -> None:
    job = make_job()
    seen = TrainerObservation(1, (pod(),), training(state))
    status = plan(job, Observed(previous=prepared(job), trainer=seen), NOW).status
    assert status.phase is phase
    assert is_true(status, ConditionType.RUNNING)
    assert status.training is not None
    assert status.training.step == 7


def test_a_failing_poll_means_nothing(make_job: MakeJob) -> None:
    job = make_job()
    seen = TrainerObservation(1, (pod(),), training())
    first = plan(job, Observed(previous=prepared(job), trainer=seen), NOW).status
    silent = plan(job, Observed(previous=first, trainer=TrainerObservation(1, (pod(),))), NOW)
    assert silent.status.training == first.training
    assert silent.children == plan(job, Observed(previous=first, trainer=seen), NOW).children


def test_rescaling_follows_the_batch_stage(make_job: MakeJob) -> None:
    stages = [{"tokens": 512, "from": 0}, {"tokens": 1024, "from": 10240, "numNodes": 2}]
    job = make_job({"training.batch": {"stages": stages}})
    before = TrainerObservation(1, (pod(),), training(step=19))
    at_boundary = TrainerObservation(1, (pod(),), training(step=20))
    status = prepared(job)
    assert getattr(only_child(plan(job, Observed(previous=status, trainer=before), NOW)), "num_nodes", 0) == 1
    decision = plan(job, Observed(previous=status, trainer=at_boundary), NOW)
    assert getattr(only_child(decision), "num_nodes", 0) == 2
    assert decision.status.phase is Phase.RESCALING


def test_completion_stops_the_trainer_then_reports(make_job: MakeJob) -> None:
    job = make_job()
    done = training("Completed", step=30)
    stopping = Observed(previous=prepared(job), trainer=TrainerObservation(1, (pod(),), done), completion_marker=True)
    first = plan(job, stopping, NOW)
    assert first.children == ()
    assert not is_true(first.status, ConditionType.COMPLETE)
    second = plan(job, Observed(previous=first.status, completion_marker=True), NOW)
    report = only_child(second)
    assert isinstance(report, StageRun)
    assert report.component is Component.REPORT
    written = StageObservation(report.configuration, (ItemObservation(RunState.SUCCEEDED),))
    end = plan(job, Observed(previous=second.status, stages={Component.REPORT: written}), NOW)
    assert end.settled
    assert end.status.phase is Phase.COMPLETED
    assert is_true(end.status, ConditionType.COMPLETE)
    assert plan(job, Observed(previous=end.status), NOW + timedelta(days=1)).status == end.status


def test_lost_completion_marker_trains_again(make_job: MakeJob) -> None:
    job = make_job()
    status = prepared(job)
    status.completed_configuration = "of something else"
    assert only_child(plan(job, Observed(previous=status), NOW)).component is Component.TRAINER


def test_pod_endings_are_counted_once_and_within_the_window(make_job: MakeJob) -> None:
    job = make_job({"failurePolicy": {"maxRestarts": 1, "restartWindowSeconds": 100.0}})
    status = prepared(job)
    crashed = [pod(RunState.FAILED, Ending(70), life) for life in range(3)]
    for _ in range(3):
        seen = TrainerObservation(1, (crashed[0],))
        status = plan(job, Observed(previous=status, trainer=seen), NOW).status
    assert status.restarts.total == 1
    later = NOW + timedelta(seconds=200)
    status = plan(job, Observed(previous=status, trainer=TrainerObservation(1, (crashed[1],))), later).status
    assert status.restarts.total == 2
    assert not is_true(status, ConditionType.FAILED)
    decision = plan(job, Observed(previous=status, trainer=TrainerObservation(1, (crashed[2],))), later)
    failed = get_condition(decision.status, ConditionType.FAILED)
    assert failed is not None
    assert failed.reason == Reason.RESTART_BUDGET_EXHAUSTED


@pytest.mark.parametrize("reason", [Reason.EVICTED, Reason.NODE_LOST])
def test_evictions_are_free(make_job: MakeJob, reason: str) -> None:
    job = make_job({"failurePolicy": {"maxRestarts": 0}})
    seen = TrainerObservation(1, (pod(RunState.FAILED, Ending(137, reason=reason)),))
    status = plan(job, Observed(previous=prepared(job), trainer=seen), NOW).status
    assert (status.restarts.total, status.restarts.counted) == (1, 0)
    assert not is_true(status, ConditionType.FAILED)


def test_spent_rollback_budget_fails(make_job: MakeJob) -> None:
    job = make_job()
    message = TerminationMessage(outcome="Failed", reason="RollbackBudgetExhausted", message="21 rollbacks; look")
    seen = TrainerObservation(1, (pod(RunState.FAILED, Ending(70, message)),))
    status = plan(job, Observed(previous=prepared(job), trainer=seen), NOW).status
    assert status.phase is Phase.FAILED
    assert [(each.reason, each.message) for each in status.conditions if each.type is ConditionType.FAILED] == [
        ("RollbackBudgetExhausted", "trainer 0: 21 rollbacks; look")
    ]


def test_pause_lasts_until_the_job_is_changed(make_job: MakeJob) -> None:
    job = make_job()
    progress = training("Paused", message="loss spike at step 7")
    seen = TrainerObservation(1, (pod(),), progress)
    first = plan(job, Observed(previous=prepared(job), trainer=seen), NOW)
    assert first.children == ()
    assert first.status.phase is Phase.SUSPENDING
    second = plan(job, Observed(previous=first.status), NOW)
    assert (second.status.phase, second.settled) == (Phase.SUSPENDED, True)
    metadata = job.metadata.model_copy(update={"generation": 2})
    third = plan(job.model_copy(update={"metadata": metadata}), Observed(previous=second.status), NOW)
    assert only_child(third).component is Component.TRAINER


def test_suspension_and_deadline(make_job: MakeJob) -> None:
    suspended = make_job({"suspend": True, "activeDeadlineSeconds": 100})
    job = make_job({"activeDeadlineSeconds": 100})
    first = plan(job, Observed(), NOW)
    assert first.next_look_seconds == 100
    asleep = plan(suspended, Observed(previous=first.status), NOW + timedelta(seconds=60))
    assert (asleep.children, asleep.status.phase, asleep.settled) == ((), Phase.SUSPENDED, True)
    awake = plan(job, Observed(previous=asleep.status), NOW + timedelta(days=3))
    assert awake.next_look_seconds == 40
    late = plan(job, Observed(previous=awake.status), NOW + timedelta(days=3, seconds=41))
    failed = get_condition(late.status, ConditionType.FAILED)
    assert failed is not None
    assert failed.reason == Reason.DEADLINE_EXCEEDED
    assert only_child(late).component is Component.REPORT


def test_suspending_waits_for_processes(make_job: MakeJob) -> None:
    job = make_job({"suspend": True})
    seen = TrainerObservation(1, (pod(),), training())
    decision = plan(job, Observed(previous=prepared(job), trainer=seen), NOW)
    assert (decision.children, decision.status.phase, decision.settled) == ((), Phase.SUSPENDING, False)


def test_problems_keep_everything_from_starting(make_job: MakeJob) -> None:
    decision = plan(make_job(), Observed(problems=("spec.data: no; yes", "spec.model: no; yes")), NOW)
    valid = get_condition(decision.status, ConditionType.VALID)
    assert valid is not None
    assert (valid.status, valid.reason) == ("False", Reason.INVALID_SPEC)
    assert valid.message == "spec.data: no; yes\nspec.model: no; yes"
    assert (decision.children, decision.settled) == ((), True)


def test_trouble_is_shown(make_job: MakeJob) -> None:
    job = make_job()
    trouble = Trouble(Reason.NOT_AVAILABLE, "image registry/x:1 can't be pulled")
    items = (ItemObservation(trouble=trouble), ItemObservation(), ItemObservation())
    seen = StageObservation(stage_configurations(job, "")[Component.CLEAN], items)
    status = plan(job, Observed(stages={Component.CLEAN: seen}), NOW).status
    running = get_condition(status, ConditionType.RUNNING)
    assert running is not None
    assert (running.status, running.message) == ("False", trouble.message)


def test_a_full_disk_is_shown_while_it_is_tried_again(make_job: MakeJob) -> None:
    job = make_job()
    full = Ending(75, TerminationMessage(outcome="Failed", reason="StorageFull", message="/s: full; make room"))
    items = (ItemObservation(RunState.WAITING, 1, full), ItemObservation(), ItemObservation())
    seen = StageObservation(stage_configurations(job, "")[Component.CLEAN], items)
    decision = plan(job, Observed(stages={Component.CLEAN: seen}), NOW)
    running = get_condition(decision.status, ConditionType.RUNNING)
    assert running is not None
    assert (running.reason, running.message) == ("StorageFull", "clean 0: /s: full; make room")
    assert [event.message for event in decision.events if event.type == "Warning"] == [
        "clean 0: /s: full; make room (tried again soon)"
    ]


def test_a_stage_whose_output_a_later_one_misses_is_done_again(make_job: MakeJob) -> None:
    job = make_job()
    message = TerminationMessage(outcome="Failed", reason="MissingOutput", message="gone", missing_stage="clean")
    configurations = stage_configurations(job, "")
    waiting = ItemObservation(RunState.WAITING, 1, Ending(75, message))
    pairs = StageObservation(configurations[Component.DEDUP_PAIRS], (waiting, ItemObservation(), ItemObservation()))
    seen = Observed(stages={**finished(job, Component.CLEAN), Component.DEDUP_PAIRS: pairs})
    decision = plan(job, seen, NOW)
    again = only_child(decision)
    assert isinstance(again, StageRun)
    assert (again.component, again.configuration) == (
        Component.CLEAN,
        stage_configurations(job, "", {"clean": 1})[Component.CLEAN],
    )
    # The same is seen until the engine has carried it out: it counts once.
    later = plan(job, replace(seen, previous=decision.status), NOW)
    assert later.children == decision.children
    assert later.status == decision.status


def test_changed_job_after_a_failure_gets_a_new_try(make_job: MakeJob) -> None:
    job = make_job()
    bad = Ending(65, TerminationMessage(outcome="Failed", reason="MissingData", message="a.jsonl isn't there; add it"))
    items = (ItemObservation(RunState.FAILED, 1, bad), *(ItemObservation(RunState.SUCCEEDED),) * 2)
    seen = StageObservation(stage_configurations(job, "")[Component.CLEAN], items)
    failed = plan(job, Observed(stages={Component.CLEAN: seen}), NOW)
    assert failed.status.phase is Phase.FAILED
    assert plan(job, Observed(previous=failed.status), NOW).status.phase is Phase.FAILED
    metadata = job.metadata.model_copy(update={"generation": 2})
    again = plan(job.model_copy(update={"metadata": metadata}), Observed(previous=failed.status), NOW)
    assert only_child(again).component is Component.CLEAN
    assert not is_true(again.status, ConditionType.FAILED)
    assert again.status.completion_time is None


def test_events_tell_what_changed(make_job: MakeJob) -> None:
    job = make_job()
    first = plan(job, Observed(), NOW)
    assert [event.message for event in first.events] == ["phase Preparing"]
    rollback = {
        "time": "2026-01-01T00:00:00Z",
        "reason": "LossSpike",
        "detectedAtStep": 40,
        "resumedFromStep": 30,
        "skippedSequences": {"from": 100, "to": 200},
    }
    seen = TrainerObservation(1, (pod(),), training("Training", rollbacks=[rollback]))
    decision = plan(job, Observed(previous=prepared(job), trainer=seen), NOW)
    assert ("Warning", "LossSpike", "rolled back from step 40 to step 30, skipping sequences 100 to 200") in [
        (event.type, event.reason, event.message) for event in decision.events
    ]


def test_a_refused_rollback_is_shown_and_told_once(make_job: MakeJob) -> None:
    job, refused = make_job(), {"id": "a", "time": "2026-01-01T00:00:00Z", "message": "no checkpoint is that old"}
    seen = TrainerObservation(1, (pod(),), training("Training", refusedRollback=refused))
    first = plan(job, Observed(previous=prepared(job), trainer=seen), NOW)
    assert ("Warning", "RollbackRefused", "no checkpoint is that old") in [
        (event.type, event.reason, event.message) for event in first.events
    ]
    silent = TrainerObservation(1, (pod(),), training("Training"))
    for later in (seen, silent):
        again = plan(job, Observed(previous=first.status, trainer=later), NOW)
        assert again.status.refused_rollback == first.status.refused_rollback is not None
        assert not [event for event in again.events if event.reason == "RollbackRefused"]


@pytest.mark.parametrize(
    ("exit_code", "failures", "delay"),
    [
        (64, 1, None),
        (65, 1, None),
        (70, 1, 0.5),
        (75, 3, 2.0),
        (75, 4, None),
        (137, 2, 1.0),
        (1, 1, 0.5),
        (143, 9, 0.0),
    ],
)
def test_retry_delay(exit_code: int, failures: int, delay: float | None) -> None:
    assert retry_delay(RetryPolicy(), Ending(exit_code), failures) == delay


@pytest.mark.parametrize(
    ("ending", "reason", "words"),
    [
        (Ending(137), Reason.KILLED, "SIGKILL"),
        (Ending(139), Reason.KILLED, "SIGSEGV"),
        (Ending(70, log="x.log"), Reason.INTERNAL_ERROR, "exit code 70; its log is x.log"),
        (Ending(1), Reason.INTERNAL_ERROR, "exit code 1"),
        (Ending(137, reason="OutOfMemory"), Reason.OUT_OF_MEMORY, "OutOfMemory"),
        (Ending(200), Reason.INTERNAL_ERROR, "exit code 200"),
    ],
)
def test_explanations(ending: Ending, reason: str, words: str) -> None:
    failure = explain("clean 3", ending)
    assert failure.reason == reason
    assert words in failure.message


def test_stages_of_data_only_jobs(make_job: MakeJob) -> None:
    job = make_job({"training": None, "model": None})
    decision = plan(job, Observed(previous=prepared(job)), NOW)
    assert only_child(decision).component is Component.REPORT
    status = decision.status
    assert status.data_preparation is not None
    assert {stage.state for stage in status.data_preparation.stages} == {StageState.SUCCEEDED}
