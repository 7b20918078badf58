"""What follows from the end of a generation."""

from __future__ import annotations

import pytest

from pretrain_trainer.supervisor.coordinator import EndedGeneration
from pretrain_trainer.supervisor.messages import RankFailure
from pretrain_trainer.supervisor.verdict import Cause, GiveUp, Kind, Restart, RestartPolicy, cause_of

CRASH = Cause(Kind.CRASH, "RankFailed", "rank 3 ended with exit code 1", 0)
LEAVING = Cause(Kind.LEAVING, "Evicted", "node 1 was told to stop", 1)
TEMPORARY = Cause(Kind.TEMPORARY, "TemporaryFailure", "a peer went away", 0)
STORAGE_FULL = Cause(Kind.TEMPORARY, "StorageFull", "no space left; free some", 0)


def failure(exit_code: int | None, reason: str = "RankFailed", rank: int = 0, time: float = 0.0) -> RankFailure:
    return RankFailure(node_rank=rank, rank=rank, exit_code=exit_code, reason=reason, message=f"rank {rank}", time=time)


def ended(*failures: RankFailure, lost: tuple[int, ...] = (), leaving: tuple[int, ...] = ()) -> EndedGeneration:
    return EndedGeneration(generation=1, finished=False, failures=failures, lost_nodes=lost, leaving_nodes=leaving)


@pytest.mark.parametrize(
    ("generation", "kind", "reason"),
    [
        (ended(failure(75, "TemporaryFailure"), failure(None, "Killed", rank=1, time=1.0)), Kind.CRASH, "Killed"),
        (ended(failure(75, "TemporaryFailure"), lost=(2,)), Kind.NODE_LOST, "NodeLost"),
        (ended(failure(75, "StorageFull")), Kind.TEMPORARY, "StorageFull"),
        (ended(failure(70), failure(64, "InvalidConfiguration", rank=1)), Kind.FATAL, "InvalidConfiguration"),
        (ended(failure(65, "InvalidData"), lost=(1,)), Kind.FATAL, "InvalidData"),
        (ended(failure(75, "TemporaryFailure"), leaving=(1,)), Kind.LEAVING, "Evicted"),
        (ended(failure(143, "Stopped")), Kind.STOPPED, "Stopped"),
        (ended(failure(None, "Hang", rank=1), failure(None, "Hang")), Kind.CRASH, "Hang"),
        (ended(), Kind.CRASH, "RankFailed"),
    ],
)
def test_the_cause_is_what_explains_most(generation: EndedGeneration, kind: Kind, reason: str) -> None:
    cause = cause_of(generation)
    assert (cause.kind, cause.reason) == (kind, reason)


def test_of_equal_causes_the_first_in_time_counts() -> None:
    assert cause_of(ended(failure(70, rank=1, time=5.0), failure(1, rank=2, time=4.0))).message == "rank 2"


def test_restarts_at_once_while_there_is_progress() -> None:
    policy = RestartPolicy(max_restarts=100, window_seconds=1000)
    assert [policy.judge(CRASH, True, float(time)) for time in range(50)] == [Restart(CRASH, 0.0)] * 50


def test_waits_longer_and_longer_and_then_gives_up_without_progress() -> None:
    policy = RestartPolicy(max_restarts=100, window_seconds=1000)
    verdicts = [policy.judge(CRASH, False, float(time)) for time in range(4)]
    assert verdicts[:3] == [Restart(CRASH, 0.0), Restart(CRASH, 1.0), Restart(CRASH, 2.0)]
    assert isinstance(verdicts[3], GiveUp)
    assert verdicts[3].termination.reason == "NoProgress"
    assert CRASH.message in verdicts[3].termination.message


def test_steps_that_cannot_be_saved_are_no_progress() -> None:
    policy = RestartPolicy(max_restarts=100, window_seconds=1000)
    verdicts = [policy.judge(STORAGE_FULL, True, float(time)) for time in range(4)]
    assert [verdict.delay_seconds for verdict in verdicts if isinstance(verdict, Restart)] == [0, 1, 2]
    assert isinstance(verdicts[3], GiveUp)
    assert "saved nothing" in verdicts[3].termination.message
    assert STORAGE_FULL.message in verdicts[3].termination.message


def test_a_step_forgives_what_was_before() -> None:
    policy = RestartPolicy(max_restarts=100, window_seconds=1000)
    made = [False, False, True, False, False, True]
    assert all(isinstance(policy.judge(CRASH, step, float(time)), Restart) for time, step in enumerate(made))


def test_temporary_failures_are_tried_until_the_budget_is_used_up() -> None:
    policy = RestartPolicy(max_restarts=10, window_seconds=1e6)
    verdicts = [policy.judge(TEMPORARY, False, float(time)) for time in range(11)]
    delays = [verdict.delay_seconds for verdict in verdicts if isinstance(verdict, Restart)]
    assert delays == [0, 1, 2, 4, 8, 16, 30, 30, 30, 30]
    assert isinstance(verdicts[10], GiveUp)
    assert verdicts[10].exit_code == 70
    assert verdicts[10].termination.reason == "RestartBudgetExhausted"


def test_old_restarts_leave_the_window() -> None:
    policy = RestartPolicy(max_restarts=2, window_seconds=100)
    assert all(isinstance(policy.judge(CRASH, True, time), Restart) for time in (0.0, 50.0, 101.0, 151.0))
    assert isinstance(policy.judge(CRASH, True, 152.0), GiveUp)


def test_evictions_are_free() -> None:
    policy = RestartPolicy(max_restarts=0, window_seconds=100)
    assert all(policy.judge(LEAVING, False, float(time)) == Restart(LEAVING, 0.0) for time in range(100))
    assert not LEAVING.counted


def test_no_restart_at_all_where_none_is_allowed() -> None:
    verdict = RestartPolicy(max_restarts=0, window_seconds=100).judge(CRASH, True, 0.0)
    assert isinstance(verdict, GiveUp)
    assert "spec.failurePolicy.maxRestarts" in verdict.termination.message
