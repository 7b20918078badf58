"""One supervisor with real rank processes."""

from __future__ import annotations

import json
import re
import signal
import socket
import time

import pytest
from harness import Rehearsals, children, free_port, is_alive, kill, wait_until, write_job


def test_runs_to_the_end(rehearsals: Rehearsals) -> None:
    node = rehearsals.start()
    assert node.wait() == 0
    assert node.termination() == {
        "outcome": "Completed",
        "reason": "Completed",
        "message": "made 50 steps",
        "counts": {},
    }
    assert [life["rank"] for life in sorted(rehearsals.lives(), key=lambda life: life["rank"])] == [0, 1]
    assert all(life["argv"] == [] and life["name"] == "__main__" for life in rehearsals.lives())
    assert "[rank 0] hello from standard output" in node.lines
    assert "[rank 1] hello from standard error" in node.lines


def test_prints_json_lines(rehearsals: Rehearsals) -> None:
    node = rehearsals.start(PRETRAIN_LOG_FORMAT="json")
    assert node.wait() == 0
    wait_until(lambda: not any(is_alive(pid) for pid in rehearsals.pids()), "ranks are gone")
    lines = [json.loads(line) for line in node.lines]
    assert any(line.get("rank") == 1 and line["message"] == "hello from standard output" for line in lines)
    assert any(line.get("component") == "supervisor" and line["level"] == "info" for line in lines)


@pytest.mark.parametrize("warm", ["true", "false"])
def test_restarts_all_ranks_when_one_is_killed(rehearsals: Rehearsals, warm: str) -> None:
    rehearsals.plan["steps"] = 1_000_000
    node = rehearsals.start(
        PRETRAIN_WARM_STANDBY=warm, PRETRAIN_STANDBY_IMPORTS="rank_program" if warm == "true" else ""
    )
    wait_until(lambda: node.step() >= 12, "step 12")
    victim = rehearsals.living_rank(1)
    assert victim is not None
    killed = time.time()
    kill(victim)
    reborn = wait_until(lambda: [life["time"] for life in rehearsals.lives()][2:], "a new generation")
    assert rehearsals.finish(node) == [0]
    assert len(rehearsals.lives()) == 4
    print(f"restart after {max(reborn) - killed:.2f} s (warm: {warm})")
    assert not rehearsals.overlapped()
    [restart] = [event for event in rehearsals.events() if event["event"] == "restart"]
    assert (restart["reason"], restart["message"]) == ("Killed", "rank 1 was ended by SIGKILL")
    assert restart["step"] >= 12
    assert restart["counted"] is True


def test_shows_restarts_and_goodput(rehearsals: Rehearsals) -> None:
    rehearsals.plan |= {"steps": 1_000_000, "faults": [{"rank": 1, "step": 7, "action": "exit 70"}]}
    node = rehearsals.start()
    progress = wait_until(
        lambda: (
            (shown := node.progress()).get("restarts", {}).get("total") == 1
            and shown["training"]["step"] > 20
            and shown
        ),
        "a restart",
    )
    assert progress["state"] == "Training"
    assert progress["restarts"]["counted"] == 1
    assert progress["restarts"]["last"]["reason"] == "Rehearsed"
    assert progress["restarts"]["last"]["node"] == socket.gethostname()
    assert 0 < progress["goodput"] < 1
    assert node.get("/healthz") == "ok\n"
    metrics = node.get("/metrics")
    assert 'pretrain_restarts_total{reason="Rehearsed"} 1.0' in metrics
    assert re.search(r"^pretrain_generation 2\.0$", metrics, re.MULTILINE)
    assert re.search(r"^pretrain_step \d", metrics, re.MULTILINE)
    assert 'pretrain_trainer_state{state="Training"} 1.0' in metrics
    node.process.terminate()
    assert node.wait() == 143


@pytest.mark.parametrize("code", [64, 65])
def test_never_retries_what_cannot_be_mended(rehearsals: Rehearsals, code: int) -> None:
    rehearsals.plan["faults"] = [{"rank": 1, "step": 3, "action": f"exit {code}", "times": -1}]
    node = rehearsals.start()
    assert node.wait() == code
    message = node.termination()
    assert (message["outcome"], message["reason"]) == ("Failed", "Rehearsed")
    assert message["message"] == f"rank 1 was told to exit {code}"
    assert len(rehearsals.lives()) == 2


def test_gives_up_when_the_budget_is_used_up(rehearsals: Rehearsals) -> None:
    write_job(rehearsals.job, max_restarts=2)
    faults = [{"rank": 0, "step": step, "action": "exit-without-result 1", "times": -1} for step in (7, 13, 19)]
    rehearsals.plan["faults"] = [{**fault, "times": 1} for fault in faults]
    node = rehearsals.start()
    assert node.wait() == 70
    message = node.termination()
    assert message["reason"] == "RestartBudgetExhausted"
    assert "2 restarts" in message["message"]
    assert "rank 0 ended with exit code 1" in message["message"]
    assert "spec.failurePolicy.maxRestarts" in message["message"]
    assert [event["event"] for event in rehearsals.events()] == ["restart", "restart", "failed"]


def test_remembers_the_budget_when_it_is_replaced(rehearsals: Rehearsals) -> None:
    write_job(rehearsals.job, max_restarts=1)
    rehearsals.plan |= {
        "steps": 100_000,
        "faults": [{"rank": 0, "step": 7, "action": "exit 70"}],
    }
    node = rehearsals.start()
    record = rehearsals.storage / "supervisor.json"
    wait_until(lambda: record.exists() and '"generation":2,"running":true' in record.read_text(), "the record")
    node.process.kill()
    node.wait()
    again = rehearsals.start()
    assert again.wait() == 70
    assert again.termination()["reason"] == "RestartBudgetExhausted"
    assert "the trainer of node 0 went away without a word" in again.termination()["message"]
    assert "generation-3" not in {life["generation"] for life in rehearsals.lives()}


def test_starts_a_new_budget_when_a_person_starts_it(rehearsals: Rehearsals) -> None:
    write_job(rehearsals.job, max_restarts=0)
    rehearsals.plan["steps"] = 100_000
    node = rehearsals.start()
    record = rehearsals.storage / "supervisor.json"
    wait_until(lambda: record.exists() and '"generation":1,"running":true' in record.read_text(), "the record")
    node.process.kill()
    node.wait()
    again = rehearsals.start(PRETRAIN_NEW_RESTART_BUDGET="true")
    wait_until(lambda: again.step() >= 1, "a step")
    assert rehearsals.finish(again) == [0]
    assert not [event for event in rehearsals.events() if event["event"] == "restart"]


@pytest.mark.slow
def test_gives_up_without_progress(rehearsals: Rehearsals) -> None:
    rehearsals.plan["faults"] = [{"rank": 1, "step": 10, "action": "signal 11", "times": -1}]
    node = rehearsals.start()
    assert node.wait() == 70
    message = node.termination()
    assert message["reason"] == "NoProgress"
    assert "rank 1 was ended by SIGSEGV" in message["message"]
    assert len(rehearsals.lives()) == 2 * 4  # one generation that got to step 10, three that got nowhere


def test_restarts_a_rank_that_hangs_and_shows_its_stack(rehearsals: Rehearsals) -> None:
    write_job(rehearsals.job, hang_timeout_seconds=1.0)
    rehearsals.plan |= {"stepSeconds": 0.05, "faults": [{"rank": 1, "step": 45, "action": "hang"}]}
    node = rehearsals.start()
    assert node.wait() == 0
    events = [(event["event"], event.get("reason")) for event in rehearsals.events()]
    assert ("hang", None) in events
    assert ("restart", "Hang") in events
    assert any(line.startswith("[rank 1]") and "in act" in line for line in node.lines), (
        "the stack of the rank that hangs"
    )
    assert any(line.startswith("[rank 0]") and "in receive" in line for line in node.lines), "and of its peer"


def test_restarts_a_rank_that_never_starts(rehearsals: Rehearsals) -> None:
    rehearsals.plan |= {"startSeconds": 3600}
    node = rehearsals.start(PRETRAIN_START_TIMEOUT_SECONDS="0.5")
    wait_until(lambda: node.progress().get("restarts", {}).get("total", 0) >= 1, "a restart")
    assert node.progress()["restarts"]["last"]["reason"] == "Hang"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_saves_and_stops_when_told_to(rehearsals: Rehearsals, number: int) -> None:
    rehearsals.plan |= {"steps": 100_000, "checkpointEvery": 1_000_000}
    node = rehearsals.start()
    wait_until(lambda: node.step() >= 5, "step 5")
    node.process.send_signal(number)
    assert node.wait() == 143
    step = rehearsals.checkpoint_step()
    assert step >= 5
    assert node.termination() == {
        "outcome": "Stopped",
        "reason": "Stopped",
        "message": f"saved at step {step}",
        "counts": {},
    }
    assert not any(is_alive(pid) for pid in rehearsals.pids())
    assert not [event for event in rehearsals.events() if event["event"] == "restart"]


def test_kills_at_the_second_signal(rehearsals: Rehearsals) -> None:
    rehearsals.plan["faults"] = [{"rank": 1, "step": 7, "action": "hang"}]
    node = rehearsals.start(PRETRAIN_GRACE_SECONDS="600")
    wait_until(lambda: node.step() >= 7, "step 7")
    node.process.terminate()
    wait_until(lambda: node.progress().get("state") == "Stopping", "the first signal is taken")
    node.process.terminate()
    assert node.wait(5) == 143
    assert not any(is_alive(pid) for pid in rehearsals.pids())


def test_stops_after_the_grace_period(rehearsals: Rehearsals) -> None:
    rehearsals.plan["faults"] = [{"rank": 1, "step": 7, "action": "hang"}]
    node = rehearsals.start(PRETRAIN_GRACE_SECONDS="0.5")
    wait_until(lambda: node.step() >= 7, "step 7")
    node.process.terminate()
    assert node.wait(5) == 143
    assert "no checkpoint was saved within" in node.termination()["message"]


def test_ranks_die_with_the_supervisor(rehearsals: Rehearsals) -> None:
    rehearsals.plan["steps"] = 100_000
    node = rehearsals.start()
    wait_until(lambda: node.step() >= 5, "step 5")
    node.process.kill()
    wait_until(lambda: not any(is_alive(pid) for pid in rehearsals.pids()), "the ranks are gone", 5)


def test_survives_the_death_of_its_launcher(rehearsals: Rehearsals) -> None:
    rehearsals.plan["steps"] = 1_000_000
    node = rehearsals.start()
    wait_until(lambda: node.step() >= 5, "step 5")
    [launcher] = children(node.process.pid)
    kill(launcher)
    wait_until(lambda: len(rehearsals.lives()) == 4, "a new generation")
    assert rehearsals.finish(node) == [0]
    assert [event["reason"] for event in rehearsals.events()] == ["Killed"]
    assert not rehearsals.overlapped()


def test_waits_when_completed_if_told_so(rehearsals: Rehearsals) -> None:
    node = rehearsals.start(PRETRAIN_WAIT_WHEN_COMPLETED="true")
    wait_until(lambda: node.progress().get("state") == "Completed", "completed")
    assert node.progress()["training"]["step"] == 50
    assert node.process.poll() is None
    node.process.terminate()
    assert node.wait() == 0
    again = rehearsals.start(PRETRAIN_WAIT_WHEN_COMPLETED="true")
    wait_until(lambda: again.progress().get("state") == "Completed", "completed")
    again.process.terminate()
    assert again.wait() == 0
    assert rehearsals.start().wait() == 0
    assert len(rehearsals.lives()) == 2


def test_does_without_http_when_the_port_is_taken(rehearsals: Rehearsals) -> None:
    with socket.create_server(("127.0.0.1", free_port())) as taken:
        port = taken.getsockname()[1]
        node = rehearsals.start(PRETRAIN_HTTP_PORT=str(port))
        assert node.wait() == 0
    assert any(f"port {port} can't be listened on" in line for line in node.lines)


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"PRETRAIN_CONFIG": "/nowhere.json"}, "/nowhere.json: No such file or directory"),
        ({"PET_NODE_RANK": "1"}, "PET_NODE_RANK is 1; with PET_NNODES=1 it is 0 to 0"),
        ({"PET_NPROC_PER_NODE": "many"}, "PET_NPROC_PER_NODE is 'many'; a number or auto is needed"),
        ({"PRETRAIN_GRACE_SECONDS": "soon"}, "PRETRAIN_GRACE_SECONDS is 'soon'"),
        ({"PRETRAIN_STORAGE": ""}, "PRETRAIN_STORAGE isn't set"),
    ],
)
def test_refuses_a_bad_environment(rehearsals: Rehearsals, variables: dict[str, str], message: str) -> None:
    node = rehearsals.start(**variables)
    assert node.wait() == 64
    assert message in node.termination()["message"]
    assert not any("Traceback" in line for line in node.lines)


def test_says_what_is_wrong_with_the_storage(rehearsals: Rehearsals) -> None:
    (rehearsals.storage / "supervisor.json").mkdir()
    node = rehearsals.start()
    assert node.wait() == 75
    assert "supervisor.json: Is a directory; make the job's storage readable" in node.termination()["message"]
    assert not any("Traceback" in line for line in node.lines)


def test_goes_on_when_the_marker_is_of_another_training(rehearsals: Rehearsals) -> None:
    assert rehearsals.start(PRETRAIN_TRAINING_CONFIGURATION="yesterday's").wait() == 0
    rehearsals.plan["steps"] = 80
    node = rehearsals.start(PRETRAIN_TRAINING_CONFIGURATION="today's")
    assert node.wait() == 0
    assert node.termination()["message"] == "made 80 steps"
    assert json.loads((rehearsals.storage / "completed-before.json").read_text())["step"] == 50
    again = rehearsals.start(PRETRAIN_TRAINING_CONFIGURATION="today's")
    assert again.wait() == 0
    assert len(rehearsals.lives()) == 4
