"""`pretrain run` as its user meets it: a process of its own, its output, its exit code, its files."""

from __future__ import annotations

import contextlib
import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

PROGRAM = Path(__file__).parent / "programs" / "pretrain_run.py"
MANIFEST = """\
apiVersion: pretrain.dev/v1alpha1
kind: PretrainJob
metadata: {name: tiny}
spec:
  data:
    sources: [{name: web, uri: "sample://python"}]
    shards: 2
    tokenizer: {train: {vocabSize: 300}}
  model: {family: llama, hiddenSize: 32, intermediateSize: 64, numHiddenLayers: 2, numAttentionHeads: 2}
  training:
    tokens: 20Ki
    sequenceLength: 64
    batch: {stages: [{tokens: 512, from: 0}]}
    learningRate: {peak: 1e-3}
"""
DEADLINE_SECONDS = 60


@dataclass
class Command:
    """Runs `pretrain run job.yaml` in a directory."""

    folder: Path
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def workdir(self) -> Path:
        return self.folder / "runs" / "tiny"

    def write(self, text: str = MANIFEST) -> None:
        (self.folder / "job.yaml").write_text(text)

    def start(
        self, *arguments: str, stages: dict[str, list[str]] | None = None, trainer: dict[str, Any] | None = None
    ) -> subprocess.Popen[str]:
        scripts = [json.dumps(stages or {}), json.dumps({"steps": 12, **(trainer or {})})]
        process = subprocess.Popen(
            [sys.executable, str(PROGRAM), *scripts, "job.yaml", *arguments],
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.started.append(process)
        return process

    def __call__(
        self,
        *arguments: str,
        stages: dict[str, list[str]] | None = None,
        trainer: dict[str, Any] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        return finish(self.start(*arguments, stages=stages, trainer=trainer))

    def status(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads((self.workdir / "status.json").read_text())
        return document

    def tries(self) -> list[dict[str, Any]]:
        path = self.workdir / "tries.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def wait_for_item(self, item: str) -> int:
        """Wait until a work item is at work; return its process id."""
        wait_until(lambda: any(line["item"] == item for line in self.tries()))
        return next(int(line["pid"]) for line in reversed(self.tries()) if line["item"] == item)


def finish(process: subprocess.Popen[str]) -> subprocess.CompletedProcess[str]:
    out, err = process.communicate(timeout=DEADLINE_SECONDS)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.02)


def alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False


@pytest.fixture
def command(tmp_path: Path) -> Iterator[Command]:
    command = Command(tmp_path)
    command.write()
    yield command
    for process in command.started:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        process.wait()


def test_completes_and_says_what_came_out(command: Command) -> None:
    ended = command()
    assert ended.returncode == 0, ended.stderr
    assert "tiny is complete" in ended.stdout
    assert "12 steps" in ended.stdout
    assert command.status()["phase"] == "Completed"
    assert ended.stderr == ""


def test_output_elsewhere_than_on_a_terminal_is_plain(command: Command) -> None:
    ended = command(trainer={"secondsPerStep": 0.05})
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", ended.stdout)
    lines = ended.stdout.splitlines()
    assert any(re.fullmatch(r"\[\d+:\d\d\] clean: started", line) for line in lines)
    assert any("blend: done, 10 documents in, 8 out" in line for line in lines)


def test_run_again_says_so_at_once(command: Command) -> None:
    command()
    before = len(command.tries())
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    ended = command()
    now = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert ended.returncode == 0
    assert "tiny is complete already" in ended.stdout
    assert len(command.tries()) == before
    # Processor time: the time on the clock is this, unless others use the machine.
    assert now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime < 1.5


def test_quiet(command: Command) -> None:
    ended = command("--quiet")
    assert ended.stdout.startswith("tiny is complete\n")
    assert "clean" not in ended.stdout


def test_json(command: Command) -> None:
    ended = command("-o", "json")
    updates = [json.loads(line) for line in ended.stdout.splitlines()]
    assert updates[-1] == command.status()
    assert updates[-1]["phase"] == "Completed"
    again = command("-o", "json")
    assert json.loads(again.stdout) == command.status()


def test_failure_is_a_line_why_a_line_what_to_do_and_the_log(command: Command) -> None:
    ended = command(stages={"tokenize-1": ["65"]})
    assert ended.returncode == 1
    assert ended.stderr.splitlines() == [
        "pretrain run: failed: tokenize 1: corpus.jsonl:3: broken (65)",
        "what to do: mend line 3",
        f"log: {command.workdir / 'logs' / 'tokenize-1.log'}",
    ]
    assert (command.workdir / "report" / "report-0.txt").exists()
    assert command.status()["phase"] == "Failed"


def test_invalid_manifest_starts_nothing(command: Command) -> None:
    command.write(MANIFEST.replace("tokens: 512", "tokens: 500").replace("hiddenSize", "hidenSize"))
    ended = command()
    assert ended.returncode == 1
    lines = ended.stderr.splitlines()
    assert any(line.startswith("job.yaml: spec.training.batch.stages[0].tokens: ") for line in lines)
    assert any("did you mean 'hiddenSize'" in line for line in lines)
    assert not (command.folder / "runs").exists()


def test_batch_that_does_not_fit_this_machine(command: Command) -> None:
    ended = command("--set", "spec.trainer.numProcPerNode=3")
    assert ended.returncode == 1
    assert "spec.training.batch.stages[0].tokens" in ended.stderr


def test_missing_file(command: Command) -> None:
    (command.folder / "job.yaml").unlink()
    ended = command()
    assert ended.returncode == 1
    assert ended.stderr == "job.yaml: cannot be read (No such file or directory); give the path of a YAML file\n"


def test_set(command: Command) -> None:
    ended = command(
        "--set", "spec.training.tokens=10Ki", "--set", "spec.data.sources[0].weight=2.5", "--until", "clean"
    )
    assert ended.returncode == 0, ended.stderr
    (config,) = (command.workdir / "config").iterdir()
    spec = json.loads(config.read_text())["spec"]
    assert (spec["training"]["tokens"], spec["data"]["sources"][0]["weight"]) == (10240, 2.5)


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("spec.training.tokns=1M", "did you mean 'tokens'?"),
        ("spec.data.sources[3].uri=x", "spec.data.sources has 1 items"),
        ("spec.training.tokens.more=1", "spec.training.tokens has no fields"),
        ("spec.training.tokens", "write path=value"),
        ("spec.training.tokens=[", "isn't YAML"),
        ("spec.training.tokens=many", "spec.training.tokens"),
    ],
)
def test_wrong_set(command: Command, override: str, words: str) -> None:
    ended = command("--set", override)
    assert ended.returncode == 1
    assert words in ended.stderr
    assert "Traceback" not in ended.stderr


def test_several_jobs(command: Command) -> None:
    command.write(MANIFEST + "---\n" + MANIFEST.replace("name: tiny", "name: other"))
    ended = command()
    assert ended.returncode == 1
    assert ended.stderr == "job.yaml: holds 2 jobs (tiny, other); choose one with --job NAME\n"
    assert command("--job", "none").returncode == 1
    ended = command("--job", "other", "--set", "spec.data.shards=1", "--until", "clean")
    assert ended.returncode == 0
    assert (command.folder / "runs" / "other" / "status.json").exists()


def test_until(command: Command) -> None:
    assert "no such stage in this job; there are: clean, dedup, tok" in command("--until", "tokenise").stderr
    assert "stopped after dedup" in command("--until", "dedup").stdout
    assert {line["item"].rsplit("-", 1)[0] for line in command.tries()} == {"clean", "dedup-pairs", "dedup-clusters"}
    ended = command("--until", "tokenizer")
    assert ended.returncode == 0
    assert "stopped after tokenizer" in ended.stdout
    assert not any(line["item"].startswith("tokenize-") for line in command.tries())


def test_interruption(command: Command) -> None:
    process = command.start(stages={"clean-0": ["hang", "0"]})
    child = command.wait_for_item("clean-0")
    process.send_signal(signal.SIGINT)
    ended = finish(process)
    assert ended.returncode == 130
    assert "stopping: saving a checkpoint (Ctrl-C again: stop at once)" in ended.stdout
    assert ended.stderr.startswith("interrupted")
    assert not alive(child)
    assert command.status()["phase"] == "Suspended"
    assert command(stages={"clean-0": ["hang", "0"]}).returncode == 0


def test_termination(command: Command) -> None:
    process = command.start(stages={"clean-0": ["hang", "0"]})
    command.wait_for_item("clean-0")
    process.send_signal(signal.SIGTERM)
    assert finish(process).returncode == 143


def test_second_interruption_does_not_wait(command: Command) -> None:
    process = command.start(stages={"clean-0": ["deaf"]})
    child = command.wait_for_item("clean-0")
    process.send_signal(signal.SIGINT)
    wait_until(lambda: command.status()["phase"] == "Suspending")
    process.send_signal(signal.SIGINT)
    assert finish(process).returncode == 130
    assert not alive(child)


@pytest.mark.parametrize("item", ["clean-1", "tokenizer-0", "blend-0"])
def test_killed_and_begun_again(command: Command, item: str) -> None:
    process = command.start(stages={item: ["deaf", "0"]})
    child = command.wait_for_item(item)
    process.kill()
    process.wait()
    wait_until(lambda: not alive(child))
    ended = command(stages={item: ["deaf", "0"]})
    assert ended.returncode == 0, ended.stderr
    steps = [json.loads(line)["step"] for line in (command.workdir / "metrics.jsonl").read_text().splitlines()]
    assert steps == list(range(1, 13))


def test_interruption_in_training(command: Command) -> None:
    process = command.start(trainer={"secondsPerStep": 0.1})
    wait_until((command.workdir / "metrics.jsonl").exists)
    process.send_signal(signal.SIGINT)
    ended = finish(process)
    assert ended.returncode == 130
    step = max(int(path.name.removeprefix("step-")) for path in (command.workdir / "checkpoints").iterdir())
    assert ended.stderr == f"interrupted (checkpoint of step {step}); the same command goes on from there\n"
    generation = command.status()["observedGeneration"]
    assert command().returncode == 0
    assert command.status()["observedGeneration"] == generation == 1


def test_killed_in_training(command: Command) -> None:
    process = command.start(trainer={"secondsPerStep": 0.1})
    wait_until((command.workdir / "metrics.jsonl").exists)
    child = int((command.workdir / "lives.txt").read_text().split()[0])
    process.kill()
    process.wait()
    wait_until(lambda: not alive(child))
    assert command().returncode == 0
    assert command.status()["training"]["step"] == 12


def test_two_runs_in_one_directory(command: Command) -> None:
    process = command.start(stages={"clean-0": ["hang"]})
    command.wait_for_item("clean-0")
    ended = command()
    assert ended.returncode == 1
    assert f"another run works in {command.workdir} (process {process.pid})" in ended.stderr
    assert "what to do: " in ended.stderr
    process.send_signal(signal.SIGINT)
    assert finish(process).returncode == 130


def test_foreign_directory_is_left_alone(command: Command) -> None:
    command.workdir.mkdir(parents=True)
    (command.workdir / "thesis.tex").write_text("precious")
    for arguments in ([], ["--fresh"]):
        ended = command(*arguments)
        assert ended.returncode == 1
        assert "isn't the directory of a run: it holds thesis.tex" in ended.stderr
        assert [path.name for path in command.workdir.iterdir()] == ["thesis.tex"]


def test_fresh_starts_over_and_spares_what_is_not_ours(command: Command) -> None:
    command()
    (command.workdir / "notes.txt").write_text("mine")
    before = command.status()
    (command.workdir / "tries.jsonl").unlink()
    assert command("--fresh").returncode == 0
    assert (command.workdir / "notes.txt").read_text() == "mine"
    assert command.status()["observedGeneration"] == before["observedGeneration"] == 1
    assert any(line["item"] == "clean-0" for line in command.tries())


def test_change_that_does_not_fit_the_checkpoints(command: Command) -> None:
    command()
    before = command.status()
    ended = command("--set", "spec.model.hiddenSize=64", "--set", "spec.training.seed=5")
    assert ended.returncode == 1
    assert "spec.model.hiddenSize" in ended.stderr
    assert "spec.training.seed" in ended.stderr
    assert "--fresh" in ended.stderr
    assert command.status() == before


def test_change_of_data_before_training(command: Command) -> None:
    command("--until", "tokenizer")
    ended = command("--set", "spec.data.tokenizer.train.vocabSize=400")
    assert ended.returncode == 0, ended.stderr
    assert "changed since the run before: spec.data.tokenizer.train.vocabSize" in ended.stdout
    items = [line["item"] for line in command.tries() if line["what"] != "end"]
    assert items.count("clean-0") == 1
    assert items.count("tokenizer-0") == 2


def test_more_tokens(command: Command) -> None:
    command()
    ended = command("--set", "spec.training.tokens=30Ki", trainer={"steps": 20})
    assert ended.returncode == 0, ended.stderr
    assert "changed since the run before: spec.training.tokens" in ended.stdout
    assert command.status()["training"]["step"] == 20


def test_changed_input_file(command: Command) -> None:
    corpus = command.folder / "corpus.jsonl"
    corpus.write_text('{"text": "a"}\n')
    command.write(MANIFEST.replace("sample://python", str(corpus)))
    command("--until", "clean")
    corpus.write_text('{"text": "another"}\n')
    command("--until", "clean")
    items = [line["item"] for line in command.tries() if line["what"] != "end"]
    assert items.count("clean-0") == 2


def test_directory_that_cannot_be_written(command: Command) -> None:
    ended = command("--workdir", "/proc/no/such/place")
    assert ended.returncode == 1
    assert len(ended.stderr.splitlines()) == 2
    assert "/proc/no" in ended.stderr


def test_job_of_another_name(command: Command) -> None:
    command("--until", "clean")
    command.write(MANIFEST.replace("name: tiny", "name: other"))
    ended = command("--workdir", str(command.workdir))
    assert ended.returncode == 1
    assert "belongs to the job tiny, not to other" in ended.stderr


def test_suspended_job(command: Command) -> None:
    ended = command("--set", "spec.suspend=true")
    assert ended.returncode == 0
    assert "spec.suspend is true" in ended.stdout


def test_status_is_that_of_kubernetes(command: Command) -> None:
    command()
    status = command.status()
    for condition in status["conditions"]:
        assert set(condition) == {"type", "status", "reason", "message", "lastTransitionTime", "observedGeneration"}
    assert {"phase", "conditions", "dataPreparation", "training", "restarts"} <= set(status)
    assert yaml.safe_load(yaml.safe_dump(status)) == status


def test_a_reader_that_goes_away_does_not_end_the_run(command: Command) -> None:
    process = command.start(stages={"clean-0": ["hang", "0"]})
    command.wait_for_item("clean-0")
    assert process.stdout is not None
    process.stdout.close()
    child = command.wait_for_item("clean-0")
    os.kill(child, signal.SIGTERM)
    assert process.wait(DEADLINE_SECONDS) == 0
    assert command.status()["phase"] == "Completed"


def test_lock_is_free_after_the_run(command: Command) -> None:
    command("--until", "clean")
    assert (command.workdir / ".lock").exists()
    assert command("--until", "clean").returncode == 0
    assert os.access(command.workdir / "run.json", os.R_OK)
