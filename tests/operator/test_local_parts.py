"""Parts of the local engine: what changed, what the inputs look like, the directory, the machine, processes."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pretrain_api.resolve import resolved_json
from pretrain_api.spec.job import PretrainJob
from pretrain_operator.local import machine
from pretrain_operator.local.changes import changed_paths, incompatible_paths
from pretrain_operator.local.errors import LocalRunError
from pretrain_operator.local.files import write_atomic
from pretrain_operator.local.inputs import inputs_fingerprint
from pretrain_operator.local.process import ChildProcess
from pretrain_operator.local.workdir import Workdir

MakeJob = Callable[..., PretrainJob]


def document(job: PretrainJob) -> dict[str, Any]:
    resolved: dict[str, Any] = json.loads(resolved_json(job))
    return resolved


@pytest.mark.parametrize(
    ("changes", "changed", "incompatible"),
    [
        ({}, [], []),
        ({"training.tokens": 40960}, ["spec.training.tokens"], []),
        ({"training.tokens": 5000}, ["spec.training.tokens"], ["spec.training.tokens"]),
        ({"training.learningRate": {"peak": 2e-3}}, ["spec.training.learningRate.peak"], []),
        ({"checkpoint": {"everySteps": 5}}, ["spec.checkpoint.everySteps"], []),
        ({"data.workers": 1}, ["spec.data.workers"], []),
        ({"training.seed": 7}, ["spec.training.seed"], ["spec.training.seed"]),
        ({"model.hiddenSize": 64}, ["spec.model.headDim", "spec.model.hiddenSize"], None),
        ({"data.shards": 4}, ["spec.data.shards"], ["spec.data.shards"]),
        ({"data.sources": [{"name": "web", "uri": "sample://python", "license": "x"}]}, None, []),
        ({"data.sources": [{"name": "web", "uri": "other"}]}, ["spec.data.sources[0].uri"], None),
        (
            {"training.batch": {"stages": [{"tokens": 512, "from": 0}, {"tokens": 2048, "from": 10240}]}},
            ["spec.training.batch.stages[1].tokens"],
            [],
        ),
        (
            {"training.batch": {"stages": [{"tokens": 1024, "from": 0}, {"tokens": 1024, "from": 10240}]}},
            ["spec.training.batch.stages[0].tokens"],
            ["spec.training.batch.stages"],
        ),
        ({"training.batch": {"stages": [{"tokens": 512, "from": 0}]}}, ["spec.training.batch.stages"], []),
    ],
)
def test_changes(
    make_job: MakeJob, changes: dict[str, Any], changed: list[str] | None, incompatible: list[str] | None
) -> None:
    """With a checkpoint in the first batch stage; None: the same as `changed`, or not looked at."""
    before, after = document(make_job()), document(make_job(changes))
    paths = changed_paths(before, after)
    assert changed is None or paths == changed
    assert incompatible_paths(before, after, consumed_tokens=7168) == (paths if incompatible is None else incompatible)


def test_a_stage_that_is_behind_cannot_change(make_job: MakeJob) -> None:
    before = document(make_job())
    after = document(
        make_job({"training.batch": {"stages": [{"tokens": 512, "from": 0}, {"tokens": 2048, "from": 10240}]}})
    )
    assert incompatible_paths(before, after, consumed_tokens=12288) == ["spec.training.batch.stages"]


def test_inputs(tmp_path: Path, make_job: MakeJob) -> None:
    def fingerprint(uri: str) -> str:
        return inputs_fingerprint(make_job({"data.sources": [{"name": "web", "uri": uri}]}).spec.data)

    (tmp_path / "a.jsonl").write_text("1")
    patterns = [str(tmp_path / "a.jsonl"), str(tmp_path), f"file://{tmp_path}/*.jsonl", str(tmp_path / "**" / "*")]
    before = [fingerprint(pattern) for pattern in patterns]
    assert [fingerprint(pattern) for pattern in patterns] == before
    (tmp_path / "a.jsonl").write_text("22")
    after = [fingerprint(pattern) for pattern in patterns]
    assert not set(before) & set(after)
    (tmp_path / "b.jsonl").write_text("3")
    assert fingerprint(patterns[0]) == after[0]
    assert all(fingerprint(pattern) not in after for pattern in patterns[1:])
    assert fingerprint(str(tmp_path / "missing")) == fingerprint(str(tmp_path / "missing"))
    assert fingerprint("s3://bucket/a") != fingerprint("s3://bucket/b")


def test_what_a_job_names_beside_its_sources_is_an_input(tmp_path: Path, make_job: MakeJob) -> None:
    names = ("synonyms.tsv", "rewrite.sed", "exam.jsonl")
    for name in names:
        (tmp_path / name).write_text("1")
    entry = {"source": "web", "share": 0.1}
    augment = [
        {**entry, "method": "synonyms", "dictionary": str(tmp_path / "synonyms.tsv")},
        {**entry, "method": "rewrite", "command": f"sed -f {tmp_path / 'rewrite.sed'} /"},
    ]
    against = {"against": [str(tmp_path / "exam.jsonl")]}
    data = make_job({"data.augment": augment, "data.decontaminate": against}).spec.data
    seen = [inputs_fingerprint(data)]
    for name in names:
        (tmp_path / name).write_text("22")
        seen.append(inputs_fingerprint(data))
    assert len(set(seen)) == 4


def test_write_atomic_keeps_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "file.json"
    write_atomic(target, "old")
    with pytest.raises(UnicodeEncodeError):
        write_atomic(target, "half \ud800 written")
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["file.json"]


def test_workdir_is_locked_while_it_is_open(tmp_path: Path) -> None:
    first, second = Workdir(tmp_path / "run"), Workdir(tmp_path / "run")
    first.open()
    with pytest.raises(LocalRunError, match=f"process {os.getpid()}"):
        second.open()
    first.close()
    second.open()
    second.close()


def test_spoilt_files_of_a_run_are_not_trusted(tmp_path: Path) -> None:
    workdir = Workdir(tmp_path)
    workdir.open()
    workdir.layout.status.write_text('{"phase": "Compl')
    assert workdir.read_status().phase == "Pending"
    (tmp_path / "run.json").write_text("{")
    assert workdir.marker() is None
    workdir.close()


def test_free_ports_are_free() -> None:
    port = machine.free_port()
    with socket.create_server(("127.0.0.1", port)):
        pass


@pytest.mark.parametrize(("visible", "gpus"), [("", 0), ("0,1", 2), ("-1", 0), ("GPU-1, GPU-2,", 2)])
def test_visible_gpus(monkeypatch: pytest.MonkeyPatch, visible: str, gpus: int) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert machine.gpu_count() == gpus


def test_cores_are_divided() -> None:
    cores = machine.available_cores()
    assert machine.thread_environment(1)["OMP_NUM_THREADS"] == str(cores)
    assert machine.thread_environment(10 * cores)["OMP_NUM_THREADS"] == "1"


def run_child(script: str, log: Path) -> Any:
    async def run() -> Any:
        process = await ChildProcess.start([sys.executable, "-S", "-E", "-c", script], os.environ, log)
        return await process.wait()

    return asyncio.run(run())


def test_child_leaves_its_message_and_its_output(tmp_path: Path) -> None:
    script = (
        "import os; print('hello'); "
        "open(os.environ['PRETRAIN_TERMINATION_LOG'], 'w').write("
        '\'{"outcome": "Failed", "reason": "InvalidData", "message": "no"}\'); os._exit(65)'
    )
    ending = run_child("import sys; sys.stdout.reconfigure(line_buffering=True); " + script, tmp_path / "child.log")
    assert (ending.exit_code, ending.message.reason) == (65, "InvalidData")
    assert (tmp_path / "child.log").read_text() == "hello\n"


@pytest.mark.parametrize("message", ["", "not json", '{"outcome": "Perhaps"}', "x" * 100_000])
def test_child_that_says_nonsense(tmp_path: Path, message: str) -> None:
    script = f"import os; open(os.environ['PRETRAIN_TERMINATION_LOG'], 'w').write({message!r}); os.abort()"
    ending = run_child(script, tmp_path / "child.log")
    assert (ending.exit_code, ending.message) == (134, None)


def test_what_a_child_leaves_behind_is_ended(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    script = (
        "import os, signal\n"
        "if os.fork() == 0:\n"
        f"    open({str(pid_file)!r}, 'w').write(str(os.getpid()))\n"
        "    signal.pause()\n"
        "import time\n"
        f"while not (os.path.exists({str(pid_file)!r}) and open({str(pid_file)!r}).read()): time.sleep(0.01)\n"
    )
    assert run_child(script, tmp_path / "child.log").exit_code == 0
    deadline = time.monotonic() + 20
    while Path(f"/proc/{pid_file.read_text()}").exists():
        state = Path(f"/proc/{pid_file.read_text()}/stat").read_text().rsplit(")", 1)[1].split()[0]
        if state == "Z":
            break
        assert time.monotonic() < deadline, "the grandchild is still there"
        time.sleep(0.01)
