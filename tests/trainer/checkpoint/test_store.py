from __future__ import annotations

from pathlib import Path

import pytest

from pretrain_api.spec.training import Checkpoint
from pretrain_api.status import RollbackRecord, SequenceRange
from pretrain_trainer.checkpoint.layout import MANIFEST_FILE, Manifest, RecoveryLog, directory_name
from pretrain_trainer.checkpoint.store import CheckpointStore, StoredCheckpoint, file_entry, kept_checkpoints
from pretrain_trainer.errors import InvalidData


def save(root: Path, step: int, generation: int = 0, healthy: bool = False) -> StoredCheckpoint:
    directory = root / directory_name(step)
    directory.mkdir(parents=True)
    (directory / "state").write_bytes(b"weights of step %d" % step)
    manifest = Manifest(
        step=step,
        sequences=step,
        tokens=step,
        time="2026-01-01T00:00:00Z",
        generation=generation,
        world_size=1,
        outputs=[file_entry(directory / "state")],
    )
    (directory / MANIFEST_FILE).write_text(manifest.model_dump_json(by_alias=True))
    checkpoint = StoredCheckpoint(directory, manifest)
    if healthy:
        CheckpointStore(root).promote(checkpoint, step + 10)
    return checkpoint


def rollback(resumed_from: int) -> RollbackRecord:
    return RollbackRecord(
        time="2026-01-01T00:00:00Z",
        reason="LossSpike",
        detected_at_step=99,
        resumed_from_step=resumed_from,
        skipped_sequences=SequenceRange(**{"from": 0, "to": 1}),
    )


def steps(store: CheckpointStore, recovery: RecoveryLog | None = None) -> list[int]:
    return [checkpoint.step for checkpoint in store.surviving(recovery or RecoveryLog())]


@pytest.mark.parametrize(
    ("policy", "healthy", "kept"),
    [
        (Checkpoint(keep_last=2), {10}, {40, 50, 10}),
        (Checkpoint(keep_last=1), {10, 30}, {50, 30}),
        (Checkpoint(keep_last=3), {50}, {30, 40, 50}),
        (Checkpoint(keep_last=1, keep_every_steps=20), set(), {20, 40, 50}),
    ],
)
def test_the_newest_healthy_one_always_stays(
    tmp_path: Path, policy: Checkpoint, healthy: set[int], kept: set[int]
) -> None:
    for step in (10, 20, 30, 40, 50):
        save(tmp_path, step, healthy=step in healthy)
    store = CheckpointStore(tmp_path)
    assert {checkpoint.step for checkpoint in kept_checkpoints(store.checkpoints()[0], policy)} == kept
    store.retain(policy, RecoveryLog())
    assert set(steps(store)) == kept


def test_what_a_process_left_unfinished_is_removed(tmp_path: Path) -> None:
    save(tmp_path, 10)
    (tmp_path / ".step-000000020.tmp").mkdir()
    (tmp_path / ".step-000000020.tmp/state").write_bytes(b"half")
    (tmp_path / ".recovery.json.1.tmp").write_bytes(b"half")
    store = CheckpointStore(tmp_path)
    store.clean_up(RecoveryLog())
    assert [path.name for path in tmp_path.iterdir()] == ["step-000000010"]


def test_checkpoints_that_a_rollback_took_back_are_removed(tmp_path: Path) -> None:
    for step in (10, 20, 30):
        save(tmp_path, step)
    save(tmp_path, 40, generation=1)
    store = CheckpointStore(tmp_path)
    recovery = RecoveryLog(rollbacks=[rollback(resumed_from=20)])
    assert steps(store, recovery) == [40, 20, 10]
    store.clean_up(recovery)
    assert steps(store) == [40, 20, 10]


@pytest.mark.parametrize("damage", ["no manifest", "no json", "other step"])
def test_a_checkpoint_without_a_valid_manifest_is_no_checkpoint(tmp_path: Path, damage: str) -> None:
    save(tmp_path, 10)
    manifest = save(tmp_path, 20).directory / MANIFEST_FILE
    if damage == "no manifest":
        manifest.unlink()
    else:
        manifest.write_text("{" if damage == "no json" else manifest.read_text().replace('"step":20', '"step":21'))
    store = CheckpointStore(tmp_path)
    found, damaged = store.checkpoints()
    assert [checkpoint.step for checkpoint in found] == [10]
    ((directory, message),) = damaged
    assert str(manifest) in message
    store.set_aside(directory)
    assert store.checkpoints()[1] == []
    assert (tmp_path / "step-000000020.corrupt/state").exists()


@pytest.mark.parametrize("content", [b"", b"weights of step 1", b"weights of step 11", None])
def test_damage_is_named(tmp_path: Path, content: bytes | None) -> None:
    checkpoint = save(tmp_path, 10)
    (entry,) = checkpoint.manifest.outputs
    assert checkpoint.damage(entry) is None
    path = checkpoint.directory / "state"
    path.unlink() if content is None else path.write_bytes(content)
    damage = checkpoint.damage(entry)
    assert damage is not None
    assert damage.startswith(str(path))


def test_a_damaged_recovery_file_is_named(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path)
    assert store.read_recovery() == RecoveryLog()
    store.write_recovery(RecoveryLog(rollbacks=[rollback(20)], skipped=[[1, 2]]))
    assert store.read_recovery().skipped == [[1, 2]]
    (tmp_path / "recovery.json").write_text("{")
    with pytest.raises(InvalidData, match=r"recovery\.json"):
        store.read_recovery()
