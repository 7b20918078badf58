"""The local engine with real processes that speak the protocol."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pretrain_api.names import Component, ConditionType, Phase, Reason, StageState
from pretrain_api.spec.job import PretrainJob
from pretrain_api.status import PretrainJobStatus
from pretrain_operator.local.beginning import begin
from pretrain_operator.local.engine import LocalEngine, Update
from pretrain_operator.local.errors import LocalRunError
from pretrain_operator.local.workdir import Workdir
from pretrain_operator.planning.conditions import get_condition, is_true

ALL_ITEMS = {
    **{f"clean-{index}": 1 for index in range(3)},
    **{f"dedup-pairs-{index}": 1 for index in range(3)},
    "dedup-clusters-0": 1,
    "tokenizer-0": 1,
    **{f"tokenize-{index}": 1 for index in range(3)},
    "blend-0": 1,
    "report-0": 1,
}


@dataclass
class Run:
    """Runs a job in a directory, again and again."""

    root: Path
    commands: Callable[..., Any]
    updates: list[Update] = field(default_factory=list)

    def __call__(
        self,
        job: PretrainJob,
        stages: dict[str, list[str]] | None = None,
        trainer: dict[str, Any] | None = None,
        stop_when: Callable[[PretrainJobStatus], bool] | None = None,
        until: Component | None = None,
    ) -> PretrainJobStatus:
        return asyncio.run(self._run(job, stages, trainer, stop_when, until))

    async def _run(
        self,
        job: PretrainJob,
        stages: dict[str, list[str]] | None,
        trainer: dict[str, Any] | None,
        stop_when: Callable[[PretrainJobStatus], bool] | None,
        until: Component | None,
    ) -> PretrainJobStatus:
        workdir = Workdir(self.root)
        workdir.open()
        try:

            def show(update: Update) -> None:
                self.updates.append(update)
                if stop_when is not None and stop_when(update.status):
                    engine.interrupt()

            engine = LocalEngine(begin(job, workdir), workdir, show, until, self.commands(stages, trainer))
            return await asyncio.wait_for(engine.run(), 60)
        finally:
            workdir.close()

    def tries(self) -> Counter[str]:
        """Return how often each work item was begun."""
        path = self.root / "tries.jsonl"
        lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        return Counter(line["item"] for line in lines if line["what"] != "end")

    def lives(self) -> list[str]:
        """Return a line for each life of a trainer."""
        return (self.root / "lives.txt").read_text().splitlines()

    def events(self) -> list[str]:
        """Return type and reason of all events so far."""
        return [f"{event.type} {event.reason}: {event.message}" for update in self.updates for event in update.events]


@pytest.fixture
def run(workdir_path: Path, program_commands: Callable[..., Any]) -> Run:
    return Run(workdir_path, program_commands)


def test_whole_job(run: Run, make_job: Callable[..., PretrainJob]) -> None:
    status = run(make_job())
    assert status.phase is Phase.COMPLETED
    assert is_true(status, ConditionType.COMPLETE)
    assert is_true(status, ConditionType.DATA_READY)
    assert status.data_preparation is not None
    stages = {stage.name: stage for stage in status.data_preparation.stages}
    assert [stage.state for stage in stages.values()] == [StageState.SUCCEEDED] * 6
    assert (stages["clean"].documents_in, stages["clean"].documents_out) == (30, 24)
    assert stages["clean"].removed == {"too-short": 6}
    assert status.data_preparation.tokens == 1000
    assert status.training is not None
    assert status.training.step == 20
    assert run.tries() == ALL_ITEMS
    assert len(run.lives()) == 1
    written = json.loads((run.root / "status.json").read_text())
    assert PretrainJobStatus.model_validate(written) == status


def test_stages_are_begun_in_order(run: Run, make_job: Callable[..., PretrainJob]) -> None:
    run(make_job())
    lines = [json.loads(line) for line in (run.root / "tries.jsonl").read_text().splitlines()]
    order = ["clean", "dedup-pairs", "dedup-clusters", "tokenizer", "tokenize", "blend", "report"]
    begun = [line["item"].rsplit("-", 1)[0] for line in lines]
    assert begun == sorted(begun, key=order.index)


def test_second_run_finds_everything_done(run: Run, make_job: Callable[..., PretrainJob]) -> None:
    first = run(make_job())
    second = run(make_job())
    assert second == first
    assert run.tries() == ALL_ITEMS
    assert len(run.lives()) == 1


def test_a_release_that_adds_a_field_finds_everything_done(run: Run, make_job: Callable[..., PretrainJob]) -> None:
    first = run(make_job())
    (resolved,) = (run.root / "config").glob("*.json")
    document = json.loads(resolved.read_text())
    del document["spec"]["model"]["dropout"], document["spec"]["data"]["badRecords"]  # as if it was written before them
    resolved.write_text(json.dumps(document))

    assert run(make_job()) == first
    assert run.tries() == ALL_ITEMS
    assert len(run.lives()) == 1
    with pytest.raises(LocalRunError, match=r"spec\.model\.dropout"):
        run(make_job({"model.dropout": 0.1}))


def test_more_tokens_train_on_and_prepare_no_more_than_the_blend(
    run: Run, make_job: Callable[..., PretrainJob]
) -> None:
    run(make_job(), trainer={"steps": 20})
    status = run(make_job({"training.tokens": 40960}), trainer={"steps": 30})
    assert status.phase is Phase.COMPLETED
    assert status.training is not None
    assert status.training.step == 30
    assert run.tries() == {**ALL_ITEMS, "blend-0": 2, "report-0": 2}
    assert len(run.lives()) == 2


def test_data_only(run: Run, make_job: Callable[..., PretrainJob]) -> None:
    status = run(make_job({"training": None, "model": None}))
    assert status.phase is Phase.COMPLETED
    assert status.training is None
    assert not (run.root / "lives.txt").exists()


@pytest.mark.parametrize(("code", "reason"), [("64", "InvalidConfiguration"), ("65", "MissingData")])
def test_invalid_input_fails_at_once_and_the_report_is_written(
    run: Run, make_job: Callable[..., PretrainJob], code: str, reason: str
) -> None:
    status = run(make_job(), stages={"clean-1": [code]})
    failed = get_condition(status, ConditionType.FAILED)
    assert status.phase is Phase.FAILED
    assert failed is not None
    assert failed.reason == reason
    assert failed.message == f"clean 1: corpus.jsonl:3: broken ({code}); mend line 3"
    # The other items of the stage are done: what is finished isn't lost.
    assert run.tries() == {"clean-0": 1, "clean-1": 1, "clean-2": 1, "report-0": 1}
    assert not is_true(status, ConditionType.DATA_READY)


def test_a_mended_job_goes_on(run: Run, make_job: Callable[..., PretrainJob]) -> None:
    run(make_job(), stages={"tokenizer-0": ["65", "0"]})
    status = run(make_job(), stages={"tokenizer-0": ["65", "0"]})
    assert status.phase is Phase.COMPLETED
    assert not is_true(status, ConditionType.FAILED)
    assert run.tries() == {**ALL_ITEMS, "tokenizer-0": 2, "report-0": 2}


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["70", "75", "SIGKILL"])
def test_failures_are_tried_again(run: Run, make_job: Callable[..., PretrainJob], ending: str) -> None:
    status = run(make_job(), stages={"clean-2": [ending, ending, "0"]})
    assert status.phase is Phase.COMPLETED
    assert run.tries()["clean-2"] == 3
    assert [event for event in run.events() if event.startswith("Warning") and "clean 2" in event]


@pytest.mark.slow
def test_retries_end(run: Run, make_job: Callable[..., PretrainJob]) -> None:
    status = run(make_job(), stages={"blend-0": ["75"]})
    failed = get_condition(status, ConditionType.FAILED)
    assert failed is not None
    assert failed.reason == "StorageFull"
    assert run.tries()["blend-0"] == 4


def test_being_told_to_stop_is_free(run: Run, make_job: Callable[..., PretrainJob]) -> None:
    status = run(make_job(), stages={"blend-0": ["143"] * 6 + ["0"]})
    assert status.phase is Phase.COMPLETED
    assert run.tries()["blend-0"] == 7


def test_a_failing_report_does_not_fail_the_job(run: Run, make_job: Callable[..., PretrainJob]) -> None:
    status = run(make_job(), stages={"report-0": ["64"]})
    assert status.phase is Phase.COMPLETED
    assert status.report is not None
    assert status.report.state is StageState.FAILED
    assert any("ReportFailed" in event for event in run.events())


def test_trainer_is_restarted_within_its_budget(run: Run, make_job: Callable[..., PretrainJob]) -> None:
    status = run(make_job(), trainer={"dieAt": [[7, "SIGKILL"], [12, "70"]]})
    assert status.phase is Phase.COMPLETED
    assert len(run.lives()) == 3
    assert (status.restarts.total, status.restarts.counted) == (2, 2)
    assert status.restarts.last is not None
    assert status.restarts.last.reason == Reason.RANK_FAILED


def test_restart_budget(run: Run, make_job: Callable[..., PretrainJob]) -> None:
    job = make_job({"failurePolicy": {"maxRestarts": 1}})
    status = run(job, trainer={"dieAt": [[step, "70"] for step in range(1, 20)]})
    failed = get_condition(status, ConditionType.FAILED)
    assert failed is not None
    assert failed.reason == Reason.RESTART_BUDGET_EXHAUSTED
    assert "maxRestarts=1" in failed.message
    assert "rank 1 crashed" in failed.message
    assert len(run.lives()) == 2


def test_invalid_configuration_ends_training(run: Run, make_job: Callable[..., PretrainJob]) -> None:
    status = run(make_job(), trainer={"dieAt": [[3, "64"]]})
    assert status.phase is Phase.FAILED
    assert len(run.lives()) == 1


def test_several_nodes(run: Run, make_job: Callable[..., PretrainJob]) -> None:
    job = make_job({"trainer": {"numNodes": 2, "numProcPerNode": 3}})
    status = run(job)
    assert status.phase is Phase.COMPLETED
    assert [line.split()[1:] for line in run.lives()] == [["2", "3"], ["2", "3"]]


def test_interruption_in_training_and_going_on(run: Run, make_job: Callable[..., PretrainJob]) -> None:
    slow = {"steps": 60, "secondsPerStep": 0.05}
    stopped = run(
        make_job(),
        trainer=slow,
        stop_when=lambda status: status.training is not None and (status.training.step or 0) > 8,
    )
    assert stopped.phase is Phase.SUSPENDED
    assert is_true(stopped, ConditionType.SUSPENDED)
    assert run.tries()["report-0"] == 0
    status = run(make_job(), trainer={"steps": 60})
    assert status.phase is Phase.COMPLETED
    assert not is_true(status, ConditionType.SUSPENDED)
    assert status.restarts.total == 0
    assert run.tries() == ALL_ITEMS
    steps = [json.loads(line)["step"] for line in (run.root / "metrics.jsonl").read_text().splitlines()]
    assert steps == list(range(1, 61))


def test_interruption_in_preparation(run: Run, make_job: Callable[..., PretrainJob]) -> None:
    def at_work(status: PretrainJobStatus) -> bool:
        stages = status.data_preparation.stages if status.data_preparation is not None else []
        return any(stage.name == "dedup-pairs" and stage.message == "at work" for stage in stages)

    stopped = run(make_job(), stages={"dedup-pairs-1": ["hang", "0"]}, stop_when=at_work)
    assert stopped.phase is Phase.SUSPENDED
    status = run(make_job(), stages={"dedup-pairs-1": ["hang", "0"]})
    assert status.phase is Phase.COMPLETED
    # Finished stages aren't begun again; of the one that was interrupted every item is looked at.
    assert run.tries()["clean-0"] == 1
    assert run.tries()["dedup-pairs-1"] == 2


def test_until(run: Run, make_job: Callable[..., PretrainJob]) -> None:
    status = run(make_job(), until=Component.TOKENIZER)
    assert status.phase is Phase.SUSPENDED
    assert "tokenize-0" not in run.tries()
    assert run(make_job()).phase is Phase.COMPLETED
    assert run.tries() == ALL_ITEMS


def test_lost_output_is_made_again(run: Run, make_job: Callable[..., PretrainJob]) -> None:
    run(make_job(), until=Component.TOKENIZER)
    for path in (run.root / "data" / "tokenizer").iterdir():
        path.unlink()
    run(make_job())
    assert run.tries() == {**ALL_ITEMS, "tokenizer-0": 2}


def test_output_that_a_later_stage_finds_gone_is_made_again(run: Run, make_job: Callable[..., PretrainJob]) -> None:
    status = run(make_job(), stages={"tokenize-1": ["gone:clean", "0"]})
    assert status.phase is Phase.COMPLETED
    tries = run.tries()
    assert all(tries[item] == 2 for item in ALL_ITEMS if item.startswith(("clean", "dedup", "tokenizer")))
    assert tries["blend-0"] == 1
    events = [event.message for update in run.updates for event in update.events if event.type == "Warning"]
    assert "clean: its output is gone from the storage; it is done again" in events
    run(make_job())
    assert run.tries() == tries, "what was done again is done"


def test_output_that_is_gone_each_time_fails_the_job(run: Run, make_job: Callable[..., PretrainJob]) -> None:
    status = run(make_job({"data.shards": 1}), stages={"dedup-pairs-0": ["gone:clean"]})
    failed = get_condition(status, ConditionType.FAILED)
    assert failed is not None
    assert (failed.status, failed.reason) == ("True", Reason.MISSING_OUTPUT)
    assert run.tries()["clean-0"] == 4


def test_models_of_filters_that_are_gone_are_made_again(run: Run, make_job: Callable[..., PretrainJob]) -> None:
    job = make_job({"data.clean": {"toxicity": {"words": ["list.txt"]}}})
    run(job, until=Component.CLEAN)
    for path in (run.root / "data" / "filters").iterdir():
        path.unlink()
    run(job, until=Component.CLEAN)
    assert run.tries()["filter-models-0"] == 2


def test_deadline(run: Run, make_job: Callable[..., PretrainJob]) -> None:
    status = run(make_job({"activeDeadlineSeconds": 1}), stages={"clean-1": ["hang"]})
    failed = get_condition(status, ConditionType.FAILED)
    assert failed is not None
    assert failed.reason == Reason.DEADLINE_EXCEEDED


def test_suspended_job_starts_nothing(run: Run, make_job: Callable[..., PretrainJob]) -> None:
    status = run(make_job({"suspend": True}))
    assert status.phase is Phase.SUSPENDED
    assert not run.tries()
