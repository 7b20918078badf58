"""What is remembered of a job between two looks."""

from __future__ import annotations

from pretrain_operator.kubernetes.memory import JobMemory


def test_what_somebody_deleted_may_miss_more_than_itself() -> None:
    memory = JobMemory("uid", applied={"ConfigMap/a-config": "hash", "Job/a-clean": "hash"})
    memory.child_gone("of the Job")
    assert memory.applied == {}


def test_what_this_process_deleted_is_missed_by_nobody() -> None:
    memory = JobMemory("uid", applied={"ConfigMap/a-config": "hash"}, deleted={"of the set"})
    memory.child_gone("of the set")
    assert memory.applied == {"ConfigMap/a-config": "hash"}
    memory.child_gone("of the set")
    assert memory.applied == {}, "once"
