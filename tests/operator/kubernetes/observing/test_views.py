"""Views keep what is needed of an object, and little of it."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pretrain_operator.kubernetes.observing import JobView, NodeView, PodView, StatefulSetView
from pretrain_operator.kubernetes.observing.views import index_ranges

Make = Callable[..., dict[str, Any]]
Recorded = dict[str, Any]


def test_a_running_work_item(recorded: Recorded) -> None:
    pod = PodView.of(recorded["running-item"])
    assert (pod.component, pod.configuration, pod.index, pod.failure_count) == ("clean", "c1", 0, 0)
    assert pod.running
    assert pod.lived
    assert not pod.ended
    assert pod.node.startswith("node-")
    assert pod.ip
    assert pod.owner_uid == recorded["running-job"]["metadata"]["uid"]


def test_a_trainer_pod_has_its_rank_and_its_revision(recorded: Recorded) -> None:
    pod = PodView.of(recorded["trainer-1"])
    assert (pod.component, pod.index, pod.revision, pod.configuration) == ("trainer", 1, "r1", "t1")
    there = StatefulSetView.of(recorded["trainer"])
    assert (there.replicas, there.revision, there.deleting) == (2, "r1", False)


def test_a_container_that_could_not_start_says_why(recorded: Recorded) -> None:
    pod = PodView.of(recorded["failed-item"])
    assert pod.end is not None
    assert pod.end.exit_code == 128
    assert pod.end.message is not None
    assert "stat /nope: no such file or directory" in pod.end.message.message
    assert pod.ended_at == pod.end.finished


def test_termination_messages_are_read_and_other_texts_are_not(make_pod: Make) -> None:
    said = {"outcome": "Failed", "reason": "InvalidData", "message": "a.jsonl:3: not JSON; remove it"}
    for text, expected in ((json.dumps(said), "a.jsonl:3: not JSON; remove it"), ("Traceback …", None), ("", None)):
        end = {"exitCode": 65, "message": text, "finishedAt": "2026-01-01T00:00:00Z"}
        view = PodView.of(make_pod(state={"terminated": end}))
        assert view.end is not None
        assert (view.end.message.message if view.end.message is not None else None) == expected


def test_the_main_container_is_the_one_called_like_the_component(make_pod: Make) -> None:
    pod = make_pod(state={"running": {}})
    beside = {"name": "proxy", "restartCount": 7, "state": {"terminated": {"exitCode": 1}}, "lastState": {}}
    pod["status"]["containerStatuses"].insert(0, beside)
    view = PodView.of(pod)
    assert (view.started, view.restart_count) == (True, 0)


def test_waiting_for_a_restart_is_having_ended(make_pod: Make) -> None:
    end = {"terminated": {"exitCode": 70, "finishedAt": "2026-01-01T00:00:07Z"}}
    view = PodView.of(make_pod("trainer", state={"waiting": {"reason": "CrashLoopBackOff"}}, last_state=end))
    assert view.ended_at == datetime(2026, 1, 1, 0, 0, 7, tzinfo=UTC)


def test_jobs(recorded: Recorded) -> None:
    running, expired, failed = (JobView.of(recorded[name]) for name in ("running-job", "expired-job", "failed-job"))
    assert (running.component, running.configuration, running.completions) == ("clean", "c1", 3)
    assert (running.parallelism, running.finished, running.suspended) == (2, False, False)
    assert (expired.failed, expired.failure) == (
        True,
        "DeadlineExceeded: Job was active longer than specified deadline",
    )
    assert [index for piece in failed.failed_items for index in piece] == [0, 1]
    assert failed.failed


def test_nodes(recorded: Recorded, make_node: Make) -> None:
    assert NodeView.of(recorded["node"]).ready
    lost = NodeView.of(make_node("Unknown", "2026-01-01T00:01:00Z"))
    assert (lost.ready, lost.since) == (False, datetime(2026, 1, 1, 0, 1, tzinfo=UTC))


@given(st.sets(st.integers(0, 300)))
def test_index_ranges_are_what_kubernetes_writes(indices: set[int]) -> None:
    ordered = sorted(indices)
    ranges: list[tuple[int, int]] = []
    for index in ordered:
        if ranges and ranges[-1][1] == index - 1:
            ranges[-1] = (ranges[-1][0], index)
        else:
            ranges.append((index, index))
    text = ",".join(str(first) if first == last else f"{first}-{last}" for first, last in ranges)
    assert [index for piece in index_ranges(text) for index in piece] == ordered


@pytest.mark.parametrize("name", ["running-item", "trainer-0", "bad-image"])
def test_views_of_many_pods_take_little_memory(recorded: Recorded, name: str) -> None:
    """1,000 jobs of 10 pods are 10,000 views: 40 MB at the most."""
    text = json.dumps(recorded[name])
    tracemalloc.start()
    views = [PodView.of(json.loads(text)) for _ in range(200)]
    kept = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert kept / len(views) < 4096
