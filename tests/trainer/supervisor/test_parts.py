"""The pure parts: goodput, watchdog, stop plan, agent, lines, record, ledger, machine."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pretrain_api.names import LedgerEvent
from pretrain_api.status import Checkpoints, CheckpointStatus, TrainingStatus
from pretrain_api.wire import TrainerProgress
from pretrain_trainer.ledger import append_event, read_events
from pretrain_trainer.supervisor.agent import LocalRanks, Start, Stop, StopMode, decide
from pretrain_trainer.supervisor.goodput import StepClock, UsefulTime
from pretrain_trainer.supervisor.host import gpu_count, memory_kills, usable_processors
from pretrain_trainer.supervisor.logs import MAX_LINE_BYTES, LineSplitter
from pretrain_trainer.supervisor.messages import Action, Directive
from pretrain_trainer.supervisor.progress_tracker import ProgressTracker
from pretrain_trainer.supervisor.ranks import make_scratch_directory
from pretrain_trainer.supervisor.record import RECORD_FILE, Record, load_record, save_record
from pretrain_trainer.supervisor.settings import World
from pretrain_trainer.supervisor.stopping import KILL_GRACE_SECONDS, SETTLE_SECONDS, StopPlan
from pretrain_trainer.supervisor.watchdog import STARTING_BEATS, Watchdog


class TestGoodput:
    def test_steps_count_once(self) -> None:
        useful = UsefulTime()
        clock = StepClock(useful)
        for now, step in [(0.0, 0), (10.0, 10), (20.0, 20)]:
            clock.observe(now, step)
        clock.pause()  # a crash at step 20; 30 s later it goes on from step 15
        for now, step in [(50.0, 15), (55.0, 20), (60.0, 25)]:
            clock.observe(now, step)
        assert useful.seconds == pytest.approx(25.0)

    def test_rollback_takes_back(self) -> None:
        useful = UsefulTime()
        clock = StepClock(useful)
        for now, step in [(0.0, 0), (10.0, 10), (11.0, 4), (17.0, 10)]:
            clock.observe(now, step)
        assert useful.seconds == pytest.approx(10.0)

    def test_waiting_for_a_step_is_part_of_it(self) -> None:
        useful = UsefulTime()
        clock = StepClock(useful)
        for now, step in [(0.0, 0), (4.0, 0), (8.0, 0), (9.0, 1)]:
            clock.observe(now, step)
        assert useful.seconds == pytest.approx(9.0)

    @given(st.lists(st.tuples(st.floats(0.01, 10.0), st.integers(0, 2000)), max_size=60))
    def test_never_more_than_the_time_that_passed(self, observations: list[tuple[float, int]]) -> None:
        useful = UsefulTime()
        clock = StepClock(useful)
        now = 0.0
        for elapsed, step in observations:
            now += elapsed
            clock.observe(now, step)
        steps = [step for step, _ in useful.points]
        seconds = [second for _, second in useful.points]
        assert steps == sorted(set(steps))
        assert seconds == sorted(seconds)
        assert 0.0 <= useful.seconds <= now + 1e-6

    def test_stays_small(self) -> None:
        useful = UsefulTime()
        clock = StepClock(useful)
        for step in range(5000):
            clock.observe(float(step), step)
        assert len(useful.points) <= 512
        assert useful.seconds == pytest.approx(4999.0)


class TestProgressTracker:
    @staticmethod
    def progress(step: int | None, saved: int | None = None) -> TrainerProgress:
        latest = None if saved is None else CheckpointStatus(step=saved, tokens=0, time="", uri="")
        return TrainerProgress(
            state="Training", training=TrainingStatus(step=step), checkpoints=Checkpoints(latest=latest)
        )

    @pytest.mark.parametrize(
        ("seen", "made_step"),
        [
            ([(None, None)], False),
            ([(0, None)], False),
            ([(3, None)], True),
            ([(100, 100)], False),
            ([(103, 100)], True),
            ([(100, 100), (101, 100)], True),
            ([(90, 100)], False),
            ([(90, 100), (91, 100)], True),
        ],
    )
    def test_tells_whether_a_step_was_made(self, seen: list[tuple[int | None, int | None]], made_step: bool) -> None:
        tracker = ProgressTracker(UsefulTime())
        tracker.begin()
        for now, (step, saved) in enumerate(seen):
            tracker.see(float(now), self.progress(step, saved))
        assert tracker.made_step is made_step

    def test_keeps_the_numbers_of_the_generation_before(self) -> None:
        tracker = ProgressTracker(UsefulTime())
        tracker.see(0.0, self.progress(5))
        tracker.begin()
        assert tracker.newest is not None
        assert tracker.of_this_generation is None


class TestWatchdog:
    def test_a_rank_that_makes_no_step_hangs(self) -> None:
        watchdog = Watchdog(hang_timeout_seconds=10, start_timeout_seconds=100, started=0.0)
        for beat in range(STARTING_BEATS + 1):
            watchdog.see(float(beat), 0, beat)
        watchdog.see(9.0, 0, STARTING_BEATS)
        assert not watchdog.hangs(STARTING_BEATS + 10, 0)
        assert watchdog.hangs(STARTING_BEATS + 10.1, 0)

    def test_starting_may_take_longer(self) -> None:
        watchdog = Watchdog(hang_timeout_seconds=10, start_timeout_seconds=100, started=0.0)
        watchdog.see(1.0, 0, 1)
        assert not watchdog.hangs(101.0, 0)
        assert watchdog.hangs(101.1, 0)
        assert watchdog.hangs(100.1, 1)


class TestStopPlan:
    def test_saving_has_its_time(self) -> None:
        plan = StopPlan.begin(StopMode.SAVE, 0.0, 30.0)
        assert plan.due(0.0) == [signal.SIGTERM]
        assert plan.due(29.9) == []
        assert plan.due(30.0) == [signal.SIGKILL]
        assert plan.due(99.0) == []

    def test_more_force_takes_over_and_less_does_not(self) -> None:
        plan = StopPlan.begin(StopMode.SAVE, 0.0, 30.0)
        plan.due(0.0)
        plan.strengthen(StopMode.KILL, 1.0)
        plan.strengthen(StopMode.SAVE, 1.5)
        assert plan.due(1.2) == []
        assert plan.due(1.5) == [signal.SIGTERM]
        assert plan.due(1.0 + KILL_GRACE_SECONDS) == [signal.SIGKILL]

    def test_ranks_may_end_by_themselves_first(self) -> None:
        plan = StopPlan.begin(StopMode.KILL, 0.0, 30.0)
        assert plan.due(0.0) == []
        assert not plan.asked
        assert plan.due(SETTLE_SECONDS) == [signal.SIGTERM]
        assert plan.asked

    def test_a_hang_shows_its_stacks_first(self) -> None:
        plan = StopPlan.begin(StopMode.DUMP, 0.0, 30.0)
        assert plan.due(0.0) == [signal.SIGUSR1]
        assert plan.due(1.0) == [signal.SIGKILL]


RUN = Directive(coordinator="a", sequence=7, action=Action.RUN, generation=3, master_port=5)
LIVE = LocalRanks(generation=3, coordinator="a", live=True)


@pytest.mark.parametrize(
    ("directive", "age", "local", "leaving", "expected"),
    [
        (RUN, 0.0, LocalRanks(), False, Start(3, 5, "a")),
        (RUN, 0.0, LIVE, False, None),
        (RUN, 0.0, LocalRanks(3, "a", live=False), False, None),
        (RUN, 0.0, LocalRanks(2, "a", live=True), False, Stop(StopMode.KILL)),
        (RUN, 0.0, LocalRanks(3, "b", live=True), False, Stop(StopMode.KILL)),
        (RUN, 8.0, LIVE, False, Stop(StopMode.KILL)),
        (RUN, 8.0, LocalRanks(), False, None),
        (RUN, 0.0, LIVE, True, Stop(StopMode.SAVE)),
        (RUN, 0.0, LocalRanks(), True, None),
        (None, 0.0, LIVE, False, Stop(StopMode.KILL)),
        (RUN.model_copy(update={"action": Action.SAVE}), 0.0, LIVE, False, Stop(StopMode.SAVE)),
        (RUN.model_copy(update={"action": Action.WAIT}), 0.0, LIVE, True, Stop(StopMode.KILL)),
        (RUN.model_copy(update={"action": Action.WAIT, "dump_stacks": True}), 0.0, LIVE, False, Stop(StopMode.DUMP)),
        (RUN.model_copy(update={"action": Action.FAIL}), 0.0, LIVE, False, Stop(StopMode.KILL)),
    ],
)
def test_agent(
    directive: Directive | None, age: float, local: LocalRanks, leaving: bool, expected: Start | Stop | None
) -> None:
    assert decide(directive, age, local, leaving) == expected


class TestLineSplitter:
    @given(st.binary(max_size=200), st.integers(1, 7))
    def test_pieces_make_no_difference(self, data: bytes, size: int) -> None:
        splitter = LineSplitter()
        lines = [line for start in range(0, len(data), size) for line in splitter.feed(data[start : start + size])]
        whole = LineSplitter()
        assert lines + splitter.close() == whole.feed(data) + whole.close()

    def test_endless_lines_are_cut(self) -> None:
        assert [len(line) for line in LineSplitter().feed(b"x" * (MAX_LINE_BYTES + 1))] == [MAX_LINE_BYTES + 1]


class TestRecord:
    def test_is_read_as_it_was_written(self, tmp_path: Path) -> None:
        record = Record(generation=7, restarts_by_reason={"Hang": 2}, counted_restarts=[1.5])
        save_record(tmp_path, record)
        assert load_record(tmp_path) == record
        assert [path.name for path in tmp_path.iterdir()] == [RECORD_FILE]

    def test_a_damaged_one_is_begun_anew(self, tmp_path: Path) -> None:
        (tmp_path / RECORD_FILE).write_text('{"generation": 7')
        assert load_record(tmp_path).generation == 0


def append_many(path: Path, writer: int) -> None:
    for number in range(50):
        append_event(path, LedgerEvent.RESTART, writer=writer, number=number, message="x" * 3000)


class TestLedger:
    def test_a_torn_line_spoils_nothing_else(self, tmp_path: Path) -> None:
        path = tmp_path / "ledger.jsonl"
        append_event(path, LedgerEvent.START, step=0)
        with path.open("a") as ledger:
            ledger.write('{"event": "resta')
        append_event(path, LedgerEvent.RESTART, step=3, loss=float("nan"))
        assert [event["event"] for event in read_events(path)] == ["start", "restart"]
        assert json.loads(path.read_text().splitlines()[-1])["loss"] is None

    def test_several_processes_append_whole_lines(self, tmp_path: Path) -> None:
        path = tmp_path / "ledger.jsonl"
        context = multiprocessing.get_context("fork")
        writers = [context.Process(target=append_many, args=(path, writer)) for writer in range(3)]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join(60)
        events = [json.loads(line) for line in path.read_text().splitlines()]
        for writer_number in range(3):
            assert [event["number"] for event in events if event["writer"] == writer_number] == list(range(50))

    def test_no_ledger_means_no_events(self, tmp_path: Path) -> None:
        assert list(read_events(tmp_path / "ledger.jsonl")) == []


def test_scratch_directories_of_the_dead_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    mine = make_scratch_directory()
    dead = tmp_path / "pretrain-trainer-999999999-x"
    dead.mkdir()
    assert make_scratch_directory().exists()
    assert mine.exists()
    assert not dead.exists()


class TestHost:
    def test_processors_within_the_quota(self, tmp_path: Path) -> None:
        allowed = len(os.sched_getaffinity(0))
        assert usable_processors(tmp_path) == allowed
        (tmp_path / "cpu.max").write_text("50000 100000\n")
        assert usable_processors(tmp_path) == 1
        (tmp_path / "cpu.max").write_text("max 100000\n")
        assert usable_processors(tmp_path) == allowed

    def test_memory_kills(self, tmp_path: Path) -> None:
        assert memory_kills(tmp_path) == 0
        (tmp_path / "memory.events").write_text("low 0\nhigh 0\nmax 5\noom 2\noom_kill 3\n")
        assert memory_kills(tmp_path) == 3

    def test_gpus(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        for name in ("nvidia0", "nvidia7", "nvidiactl", "nvidia-uvm"):
            (tmp_path / name).touch()
        assert gpu_count(tmp_path) == 2
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,2,3")
        assert gpu_count(tmp_path) == 3
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
        assert gpu_count(tmp_path) == 0

    @pytest.mark.parametrize(
        ("address", "listens"), [("127.0.0.1", "127.0.0.1"), ("localhost", "127.0.0.1"), ("job-0.job", "")]
    )
    def test_listens_on_loopback_only_if_the_job_lives_there(self, address: str, listens: str) -> None:
        assert World(1, 0, 1, address, 29500).listen_address == listens
