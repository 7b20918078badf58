"""The plan in a world that does what it wants: work fails and succeeds in any order, engines crash, polls are lost.

Whatever happens, nothing that is done is done again, no stage begins before the one before it has succeeded, there is
never more than one trainer, each ending is counted once, what was counted stays, and once the world is kind the job
completes.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from pretrain_api.names import Component, ConditionType, Phase
from pretrain_api.spec.job import PretrainJob
from pretrain_api.status import PretrainJobStatus, is_sealed, seal
from pretrain_api.wire import TerminationMessage, TrainerProgress
from pretrain_operator.planning import (
    Child,
    Ending,
    ItemObservation,
    Observed,
    Plan,
    PodObservation,
    RunState,
    StageObservation,
    StageRun,
    TrainerObservation,
    TrainerSet,
    plan,
)
from pretrain_operator.planning.conditions import is_true
from pretrain_operator.planning.failures import is_free, retry_delay
from pretrain_operator.planning.stages import preparation_stages, stage_configurations

TOTAL_STEPS = 30
PROGRAM_ENDINGS = st.sampled_from([70, 75, 137, 139, 143, 1])


def world_job(dedup: bool, trained: bool) -> PretrainJob:
    spec: dict[str, object] = {
        "data": {
            "sources": [{"name": "web", "uri": "sample://python"}],
            "shards": 2,
            "workers": 2,
            "dedup": {"exact": "document"} if dedup else {"exact": "none", "near": None},
        },
        "failurePolicy": {"maxRestarts": 1000},
    }
    if trained:
        spec["training"] = {
            "tokens": 20480,
            "sequenceLength": 64,
            "batch": {"stages": [{"tokens": 512, "from": 0}, {"tokens": 1024, "from": 10240, "numNodes": 2}]},
            "learningRate": {"peak": 1e-3},
        }
    return PretrainJob.model_validate(
        {
            "apiVersion": "pretrain.dev/v1alpha1",
            "kind": "PretrainJob",
            "metadata": {"name": "world", "generation": 1},
            "spec": spec,
        }
    )


@dataclass
class Stage:
    """A Job in the world."""

    run: StageRun
    items: list[ItemObservation]
    stopping: bool = False

    def observe(self) -> StageObservation:
        return StageObservation(self.run.configuration, tuple(self.items))

    def indices(self, *states: RunState) -> list[int]:
        return [index for index, item in enumerate(self.items) if item.state in states]


@dataclass
class Trainer:
    """A StatefulSet in the world."""

    child: TrainerSet
    pods: list[PodObservation]
    stopping: bool = False


@dataclass
class World:
    """What exists, and what is in the storage."""

    done: set[tuple[Component, str]] = field(default_factory=set)
    stages: dict[Component, Stage] = field(default_factory=dict)
    trainer: Trainer | None = None
    progress: TrainerProgress | None = None
    """What rank 0 would answer."""
    step: int = 0
    marker: bool = False
    lives: int = 0


class PlanMachine(RuleBasedStateMachine):
    """An engine and its world."""

    @initialize(dedup=st.booleans(), trained=st.booleans(), sees_storage=st.booleans(), looks=st.integers(0, 20))
    def begin(self, dedup: bool, trained: bool, sees_storage: bool, looks: int) -> None:
        """Start anywhere on the way of a job without trouble, so that its later parts are tried as often."""
        self.job = world_job(dedup, trained)
        self.sees_storage = sees_storage
        self.world = World()
        self.status = PretrainJobStatus()
        self.now = datetime(2026, 1, 1, tzinfo=UTC)
        self.last: Plan | None = None
        self.told: set[str] = set()
        """Lives whose ending a status that was written has counted."""
        for _ in range(looks):
            self.go_on(steps=1)

    # What the engine does.

    @rule(saved=st.booleans(), polled=st.booleans())
    def look(self, saved: bool, polled: bool) -> None:
        """See, plan, carry out; the engine may be killed before it has written the status."""
        observed = self.observe(polled)
        decision = plan(self.job, observed, self.now)
        again = plan(self.job, replace(observed, previous=decision.status), self.now)
        assert (again.children, again.status, again.events) == (decision.children, decision.status, ())
        assert len(decision.children) <= 1
        self.carry_out(decision.children)
        self.check_counts(decision.status)
        if saved:
            # As it is written and read: nothing that matters may get lost on the way.
            text = seal(decision.status).model_dump_json(by_alias=True, exclude_none=True)
            self.status = PretrainJobStatus.model_validate_json(text)
            assert is_sealed(self.status)
            assert self.status == seal(decision.status)
            pods = observed.trainer.pods
            self.told |= {pod.id for pod in pods if pod.ending is not None} if self.counts(decision) else set()
            assert self.status.restarts.total == len(self.told)
        self.last = decision

    def counts(self, decision: Plan) -> bool:
        """Does the plan look at the trainer at all? Only while the job trains."""
        preparation = decision.status.data_preparation
        ready = preparation is not None and all(stage.state == "Succeeded" for stage in preparation.stages)
        before = self.status if self.last is None else self.last.status
        return (
            ready
            and self.job.spec.training is not None
            and decision.status.completed_configuration is None
            and not is_true(before, ConditionType.COMPLETE)
        )

    def check_counts(self, status: PretrainJobStatus) -> None:
        """What was shown of a stage never becomes less."""
        before, after = self.status.data_preparation, status.data_preparation
        for was, now in zip(before.stages if before else (), after.stages if after else (), strict=False):
            if was.configuration == now.configuration and was.documents_in is not None:
                assert now.documents_in is not None
                assert now.documents_in >= was.documents_in
                assert now.completed >= was.completed

    def observe(self, polled: bool) -> Observed:
        trainer = TrainerObservation()
        if self.world.trainer is not None:
            progress = self.world.progress if polled else None
            trainer = TrainerObservation(self.world.trainer.child.num_nodes, tuple(self.world.trainer.pods), progress)
        return Observed(
            previous=self.status,
            stages={component: stage.observe() for component, stage in self.world.stages.items()},
            trainer=trainer,
            completion_marker=self.world.marker if self.sees_storage else None,
        )

    def carry_out(self, children: tuple[Child, ...]) -> None:
        wanted = {child.component: child for child in children}
        for component, stage in self.world.stages.items():
            stage.stopping = stage.stopping or wanted.get(component) != stage.run
        trainer = self.world.trainer
        if trainer is not None and wanted.get(Component.TRAINER) != trainer.child:
            trainer.stopping = True
        for child in children:
            if isinstance(child, TrainerSet):
                self.tend_trainer(child)
            else:
                self.tend_stage(child)

    def tend_stage(self, run: StageRun) -> None:
        there = self.world.stages.get(run.component)
        if there is not None and (there.observe().active or not there.stopping):
            return
        assert (run.component, run.configuration) not in self.world.done or not self.remembers(run)
        self.world.stages[run.component] = Stage(run, [ItemObservation() for _ in range(run.completions)])

    def remembers(self, run: StageRun) -> bool:
        """Does the status that the engine has read say that the stage is done?"""
        data = self.status.data_preparation
        stages = [*(data.stages if data is not None else []), *([self.status.report] if self.status.report else [])]
        return any(stage.configuration == run.configuration and stage.state == "Succeeded" for stage in stages)

    def tend_trainer(self, child: TrainerSet) -> None:
        trainer = self.world.trainer
        if trainer is None:
            trainer = self.world.trainer = Trainer(child, [])
        if trainer.stopping:
            return
        pods = [pod for pod in trainer.pods if pod.state is RunState.RUNNING]
        missing = [rank for rank in range(child.num_nodes) if rank not in {pod.node_rank for pod in pods}]
        for rank in missing:
            self.world.lives += 1
            pods.append(PodObservation(f"pod-{self.world.lives}", rank, RunState.RUNNING))
        trainer.pods = pods

    # What the world does.

    def running_items(self) -> list[tuple[Stage, int]]:
        stages = self.world.stages.values()
        return [(stage, index) for stage in stages for index in stage.indices(RunState.RUNNING)]

    @rule()
    def start_items(self) -> None:
        for stage in self.world.stages.values():
            waiting = stage.indices(RunState.PENDING, RunState.WAITING)
            free = stage.run.parallelism - len(stage.indices(RunState.RUNNING))
            for index in waiting[: 0 if stage.stopping else free]:
                self.check_predecessors(stage.run)
                stage.items[index] = replace(stage.items[index], state=RunState.RUNNING)

    def check_predecessors(self, run: StageRun) -> None:
        """The stages before it have really succeeded, whatever anybody remembers."""
        configurations = stage_configurations(self.job, "")
        for stage in preparation_stages(self.job):
            if stage is run.component:
                break
            assert (stage, configurations[stage]) in self.world.done
        if run.component is Component.REPORT and not is_true(self.status, ConditionType.FAILED):
            assert self.job.spec.training is None or self.world.marker

    @precondition(lambda self: self.running_items())
    @rule(data=st.data())
    def item_succeeds(self, data: st.DataObject) -> None:
        self.succeed(*data.draw(st.sampled_from(self.running_items()), label="item"))

    def succeed(self, stage: Stage, index: int) -> None:
        message = TerminationMessage(outcome="Completed", reason="Completed", counts={"documentsIn": 3})
        stage.items[index] = ItemObservation(RunState.SUCCEEDED, ending=Ending(0, message))
        if len(stage.indices(RunState.SUCCEEDED)) == stage.run.completions:
            self.world.done.add((stage.run.component, stage.run.configuration))

    @precondition(lambda self: self.running_items())
    @rule(data=st.data(), exit_code=PROGRAM_ENDINGS)
    def item_fails(self, data: st.DataObject, exit_code: int) -> None:
        """As often as the policy allows: a job that has failed for good is another property."""
        stage, index = data.draw(st.sampled_from(self.running_items()), label="item")
        ending = Ending(exit_code)
        failures = stage.items[index].failures + (not is_free(ending))
        if retry_delay(stage.run.retry, ending, failures) is None:
            return
        state = RunState.PENDING if stage.stopping else RunState.WAITING
        stage.items[index] = ItemObservation(state, failures, ending)

    @rule()
    def stopping_ends(self) -> None:
        """What was told to stop has stopped."""
        for component, stage in list(self.world.stages.items()):
            if stage.stopping:
                for index in stage.indices(RunState.RUNNING, RunState.WAITING):
                    stage.items[index] = replace(stage.items[index], state=RunState.PENDING)
                if stage.indices(RunState.PENDING):
                    del self.world.stages[component]
        if self.world.trainer is not None and self.world.trainer.stopping:
            self.world.trainer = None
            self.world.progress = None

    @precondition(lambda self: self.trainer_works())
    @rule(steps=st.integers(1, 15))
    def train(self, steps: int) -> None:
        """Train on, to a boundary where another number of nodes is wanted at most."""
        assert self.world.trainer is not None
        for stage in preparation_stages(self.job):
            assert (stage, stage_configurations(self.job, "")[stage]) in self.world.done
        end = 20 if self.world.trainer.child.num_nodes == 1 else TOTAL_STEPS
        self.world.step = max(self.world.step, min(end, self.world.step + steps))
        self.world.marker = self.world.marker or self.world.step >= TOTAL_STEPS
        state = "Completed" if self.world.marker else "Training"
        latest = {"step": self.world.step, "tokens": 0, "time": "", "uri": ""}
        self.world.progress = TrainerProgress.model_validate(
            {"state": state, "training": {"step": self.world.step}, "checkpoints": {"latest": latest}}
        )

    def trainer_works(self) -> bool:
        trainer = self.world.trainer
        return trainer is not None and bool(trainer.pods) and all(pod.state is RunState.RUNNING for pod in trainer.pods)

    @precondition(lambda self: self.trainer_works())
    @rule(exit_code=PROGRAM_ENDINGS, data=st.data())
    def trainer_pod_dies(self, exit_code: int, data: st.DataObject) -> None:
        assert self.world.trainer is not None
        pods = self.world.trainer.pods
        index = data.draw(st.integers(0, len(pods) - 1), label="pod")
        pods[index] = replace(pods[index], state=RunState.FAILED, ending=Ending(exit_code))
        if pods[index].node_rank == 0:
            self.world.progress = None

    @precondition(lambda self: self.trainer_works())
    @rule(exit_code=PROGRAM_ENDINGS, data=st.data())
    def trainer_container_restarts(self, exit_code: int, data: st.DataObject) -> None:
        """Faster than anybody looked: the pod runs again, and tells how its life before ended."""
        assert self.world.trainer is not None
        pods = self.world.trainer.pods
        index = data.draw(st.integers(0, len(pods) - 1), label="pod")
        self.world.lives += 1
        pods[index] = replace(pods[index], id=f"pod-{self.world.lives}", ending=Ending(exit_code))

    @rule()
    def finished_pods_are_collected(self) -> None:
        """What they said is lost with them; the Job remembers that they succeeded."""
        for stage in self.world.stages.values():
            for index in stage.indices(RunState.SUCCEEDED):
                stage.items[index] = ItemObservation(RunState.SUCCEEDED)

    @rule()
    def machine_crashes(self) -> None:
        """The local engine and all its children die; what is in the storage stays."""
        self.world.stages.clear()
        self.world.trainer = None
        self.world.progress = None

    @rule()
    def finished_jobs_are_collected(self) -> None:
        """Time to live of finished Jobs."""
        for component, stage in list(self.world.stages.items()):
            if len(stage.indices(RunState.SUCCEEDED)) == stage.run.completions:
                del self.world.stages[component]

    @rule(suspend=st.booleans())
    def set_suspend(self, suspend: bool) -> None:
        spec = self.job.spec.model_copy(update={"suspend": suspend})
        self.job = self.job.model_copy(update={"spec": spec})

    @rule(seconds=st.integers(1, 100_000))
    def time_passes(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @invariant()
    def suspended_means_nothing_runs(self) -> None:
        if self.last is not None and self.last.settled and self.last.status.phase is Phase.SUSPENDED:
            assert self.last.children == ()

    @invariant()
    def completed_means_done(self) -> None:
        if is_true(getattr(self, "status", PretrainJobStatus()), ConditionType.COMPLETE):
            assert self.job.spec.training is None or self.world.marker
            assert self.last is not None
            assert not self.last.children

    def go_on(self, steps: int) -> None:
        """Everything succeeds that is there to be done; a trainer gets some steps further."""
        self.look(saved=True, polled=True)
        self.start_items()
        for stage, index in self.running_items():
            self.succeed(stage, index)
        self.stopping_ends()
        if self.trainer_works():
            self.train(steps=steps)

    def teardown(self) -> None:
        """From here on the world is kind: the job completes, and soon."""
        if not hasattr(self, "job"):
            return
        self.set_suspend(False)
        for _ in range(60):
            self.go_on(steps=TOTAL_STEPS)
        assert self.status.phase is Phase.COMPLETED, self.status
        assert self.world.marker == (self.job.spec.training is not None)
        assert self.last is not None
        assert self.last.settled


PlanMachine.TestCase.settings = settings(
    max_examples=60, stateful_step_count=60, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestPlan = PlanMachine.TestCase
