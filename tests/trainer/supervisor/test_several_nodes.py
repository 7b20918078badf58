"""Two and three supervisors on loopback, as many pods would be: killed, stopped, replaced."""

from __future__ import annotations

import os
import random
import socket
import time

import pytest
from harness import Node, Rehearsals, children, is_alive, kill, wait_until


def everybody(rehearsals: Rehearsals, num_nodes: int, processes: int = 1) -> list[Node]:
    """Start all nodes, the first one last: the others wait for it."""
    return [rehearsals.start(rank, num_nodes, processes) for rank in reversed(range(num_nodes))][::-1]


def lives_after(rehearsals: Rehearsals, moment: float, world_size: int) -> list[float] | None:
    """Return when the first complete generation after a moment was there."""
    generations: dict[str, list[float]] = {}
    for life in rehearsals.lives():
        if life["time"] > moment:
            generations.setdefault(life["generation"], []).append(life["time"])
    return next((times for times in generations.values() if len(times) == world_size), None)


def is_training_again(rehearsals: Rehearsals, moment: float, world_size: int) -> float:
    """Wait until all ranks run in one new generation; return the seconds since the moment."""
    times = wait_until(lambda: lives_after(rehearsals, moment, world_size), "a new generation")
    return max(times) - moment


def test_two_nodes_run_to_the_end(rehearsals: Rehearsals) -> None:
    nodes = everybody(rehearsals, 2, processes=2)
    assert [node.wait() for node in nodes] == [0, 0]
    assert sorted(life["rank"] for life in rehearsals.lives()) == [0, 1, 2, 3]
    assert nodes[1].termination()["outcome"] == "Completed"


def test_other_nodes_show_their_state(rehearsals: Rehearsals) -> None:
    rehearsals.plan["steps"] = 100_000
    nodes = everybody(rehearsals, 2)
    wait_until(lambda: nodes[1].progress().get("state") == "Training", "node 1 trains")
    assert nodes[1].progress()["training"]["step"] is None
    wait_until(lambda: nodes[0].step() > 3, "numbers of node 0")


@pytest.mark.parametrize("victim", [0, 1])
def test_a_killed_rank_restarts_all(rehearsals: Rehearsals, victim: int) -> None:
    rehearsals.plan["steps"] = 1_000_000
    nodes = everybody(rehearsals, 2)
    wait_until(lambda: nodes[0].step() > 5, "training")
    pid = rehearsals.living_rank(victim)
    assert pid is not None
    moment = time.time()
    kill(pid)
    print(f"rank {victim} killed: training again after {is_training_again(rehearsals, moment, 2):.2f} s")
    assert rehearsals.finish(*nodes) == [0, 0]
    assert not rehearsals.overlapped()
    assert [event["reason"] for event in rehearsals.events()] == ["Killed"]


@pytest.mark.parametrize("victim", [0, 1])
@pytest.mark.parametrize("gracefully", [True, False])
def test_a_lost_node_is_waited_for(rehearsals: Rehearsals, victim: int, gracefully: bool) -> None:
    rehearsals.plan["steps"] = 1_000_000
    nodes = everybody(rehearsals, 2)
    wait_until(lambda: nodes[0].step() > 5, "training")
    moment = time.time()
    if gracefully:
        nodes[victim].process.terminate()
    else:
        nodes[victim].process.kill()
    assert nodes[victim].wait() == (143 if gracefully else -9)
    nodes[victim] = rehearsals.start(victim, 2, 1)
    seconds = is_training_again(rehearsals, moment, 2)
    print(f"node {victim} lost (gracefully: {gracefully}) and replaced at once: training again after {seconds:.2f} s")
    assert rehearsals.finish(*nodes) == [0, 0]
    assert not rehearsals.overlapped()
    if gracefully:
        assert rehearsals.lives()
        assert not [event for event in rehearsals.events() if event.get("counted")]


def test_others_stop_when_a_node_is_gone_for_long(rehearsals: Rehearsals) -> None:
    rehearsals.plan["steps"] = 100_000
    nodes = everybody(rehearsals, 3)
    wait_until(lambda: nodes[0].step() > 5, "training")
    nodes[2].process.kill()
    wait_until(lambda: not any(is_alive(pid) for pid in rehearsals.pids()), "no rank is left")
    wait_until(lambda: nodes[0].progress()["restarts"]["last"], "the loss is noticed")
    assert nodes[0].progress()["restarts"]["last"]["reason"] == "NodeLost"
    assert nodes[0].progress()["state"] == "Restarting"
    wait_until(lambda: nodes[0].lines[-1] == "[supervisor] waiting for node 2", "node 0 says whom it waits for")
    moment = time.time()
    rehearsals.start(2, 3, 1)
    is_training_again(rehearsals, moment, 3)


def test_a_fatal_failure_ends_all_with_its_message(rehearsals: Rehearsals) -> None:
    rehearsals.plan["faults"] = [{"rank": 1, "step": 5, "action": "exit 65", "times": -1}]
    nodes = everybody(rehearsals, 2)
    assert [node.wait() for node in nodes] == [65, 65]
    assert [node.termination()["message"] for node in nodes] == ["rank 1 was told to exit 65"] * 2


def test_a_whole_job_saves_and_stops(rehearsals: Rehearsals) -> None:
    rehearsals.plan |= {"steps": 100_000, "checkpointEvery": 1_000_000}
    nodes = everybody(rehearsals, 2)
    wait_until(lambda: nodes[0].step() > 5, "training")
    for node in reversed(nodes):
        node.process.terminate()
    assert [node.wait() for node in nodes] == [143, 143]
    assert rehearsals.checkpoint_step() > 5


def test_a_node_of_another_world_is_refused(rehearsals: Rehearsals) -> None:
    nodes = [rehearsals.start(0, 2, 1), rehearsals.start(1, 2, 2)]
    wait_until(lambda: any("is refused" in line for line in nodes[0].lines), "node 0 says so")
    assert not rehearsals.lives()


@pytest.mark.slow
def test_a_taken_master_port_is_a_temporary_failure(rehearsals: Rehearsals) -> None:
    with socket.create_server(("127.0.0.1", rehearsals.master_port)):
        node = rehearsals.start(0, 2, 1)
        assert node.wait() == 75
    assert f"port {rehearsals.master_port} can't be listened on" in node.termination()["message"]


@pytest.mark.slow
def test_survives_murder_at_random_moments(rehearsals: Rehearsals) -> None:
    seed = int(os.environ.get("MURDER_SEED", random.randrange(1_000_000)))
    print(f"MURDER_SEED={seed}")
    chance = random.Random(seed)
    rehearsals.plan |= {"steps": 1_000_000, "checkpointEvery": 20}
    nodes = everybody(rehearsals, 3)
    for _ in range(6):
        begin = nodes[0].step()
        distance = chance.randrange(40)
        wait_until(lambda least=begin + distance: nodes[0].step() >= least, "some steps")
        victim = chance.randrange(3)
        how = chance.choice(["rank", "launcher", "supervisor", "evict"])
        moment = time.time()
        murder(rehearsals, nodes, victim, how)
        print(f"{how} of node {victim}: training again after {is_training_again(rehearsals, moment, 3):.2f} s")
    assert rehearsals.finish(*nodes) == [0, 0, 0]
    assert not rehearsals.overlapped()


def murder(rehearsals: Rehearsals, nodes: list[Node], victim: int, how: str) -> None:
    """Kill a rank, a launcher or a supervisor, or evict a supervisor; replace what kubelet would."""
    process = nodes[victim].process
    if how == "rank":
        kill(wait_until(lambda: rehearsals.living_rank(victim), "a rank to kill"))
        return
    if how == "launcher":
        kill(children(process.pid)[0])
        return
    if how == "supervisor":
        process.kill()
    else:
        process.terminate()
    nodes[victim].wait()
    nodes[victim] = rehearsals.start(victim, 3, 1)
