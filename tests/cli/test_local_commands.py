"""The commands for jobs, on directories of local runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from pretrain_api.names import ANNOTATION_ROLLBACK, Phase
from pretrain_api.status import PretrainJobStatus, TrainingStatus
from pretrain_api.validation import validate_text
from pretrain_api.wire import RollbackRequest
from pretrain_cli.main import build_app
from pretrain_operator.local.beginning import begin
from pretrain_operator.local.workdir import Workdir
from pretrain_operator.planning.training import rollback_request

MANIFEST = (Path(__file__).parents[1] / "api" / "manifests" / "good" / "small.yaml").read_text()
HOLDER = """
import signal, sys
from pathlib import Path
from pretrain_operator.local.workdir import Workdir
workdir = Workdir(Path(sys.argv[1]))
workdir.open()
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
print("open", flush=True)
signal.sigwait({signal.SIGINT})
"""


def run(*arguments: str) -> Result:
    return CliRunner().invoke(build_app(arguments[0]), list(arguments))


@pytest.fixture(autouse=True)
def no_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "no-kubeconfig"))


@pytest.fixture
def workdir(tmp_path: Path) -> Workdir:
    """runs/small, at step 40 of its training, with nothing running in it."""
    directory = Workdir(tmp_path / "runs" / "small")
    directory.open()
    begin(validate_text(MANIFEST).jobs[0], directory)
    training = TrainingStatus(step=40, total_steps=100, progress_percentage=40.0, loss=3.5, num_nodes=2, world_size=4)
    directory.write_status(
        PretrainJobStatus(
            observed_generation=1, phase=Phase.TRAINING, start_time="2026-01-01T00:00:00Z", training=training
        )
    )
    directory.layout.ledger.write_text(
        '{"time": "2026-01-01T00:00:00Z", "event": "start", "step": 0, "message": "first start"}\n'
        '{"time": "2026-01-01T00:01:00Z", "event": "checkpoint", "step": 20, "message": "saved"}\n'
        '{"time": "2026-01-01T00:02:00Z", "ev'
    )
    directory.close()
    return directory


@pytest.fixture
def holder(workdir: Workdir) -> Iterator[subprocess.Popen[str]]:
    """A process that works in runs/small, until it is interrupted."""
    command = [sys.executable, "-c", HOLDER, str(workdir.root)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "open\n"
    yield process
    process.kill()
    process.wait()


def test_a_name_without_a_cluster_is_the_run_in_runs(workdir: Workdir) -> None:
    result = run("status", "small")
    assert result.exit_code == 0, result.output
    assert result.output.startswith("small  Training  local run runs/small, ")
    assert "step 40/100" in result.output
    assert "wrong: nothing runs in it" in result.output
    assert "do:    go on with: pretrain resume small FILE" in result.output


def test_a_directory_is_a_local_run_and_another_directory_is_not(workdir: Workdir, tmp_path: Path) -> None:
    assert run("status", str(workdir.root)).output.startswith("small  Training")
    result = run("status", "./elsewhere")
    assert result.exit_code == 1
    assert result.output == (
        "pretrain status: elsewhere isn't the directory of a run: it has no run.json; give its --workdir\n"
    )


def test_a_name_that_is_nowhere_says_why_there_is_no_cluster() -> None:
    result = run("status", "small")
    assert result.exit_code == 1
    assert result.output.startswith("pretrain status: no cluster: ")
    assert len(result.output.splitlines()) == 1


def test_an_option_about_the_cluster_means_the_cluster(workdir: Workdir) -> None:
    for option in (("--cluster",), ("-n", "default")):
        result = run("status", "small", *option)
        assert result.exit_code == 1
        assert result.output.startswith("pretrain status: no cluster: ")
    assert run("status", "small", "--local", "-n", "default").exit_code == 1


def test_status_for_machines(workdir: Workdir) -> None:
    document = json.loads(run("status", "small", "-o", "json").output)
    assert (document["kind"], document["metadata"]["name"], document["status"]["training"]["step"]) == (
        "PretrainJob",
        "small",
        40,
    )
    assert yaml.safe_load(run("status", "small", "-o", "yaml").output) == document
    assert run("status", "small", "-o", "name").output == "pretrainjob.pretrain.dev/small\n"


def test_list_shows_the_runs(workdir: Workdir) -> None:
    result = run("list", "--local")
    head, row = result.output.splitlines()
    assert head.split() == [
        "NAME", "PHASE", "PROGRESS", "STEP", "TOKENS", "LOSS", "TOKENS/S", "ETA", "RESTARTS", "AGE"
    ]  # fmt: skip
    assert row.split()[:6] == ["small", "Training", "40.0", "%", "40/100", "3.500"]


def test_events_are_the_whole_lines_of_the_ledger(workdir: Workdir) -> None:
    assert run("events", "small").output.splitlines() == [
        "2026-01-01T00:00:00Z  start                 step 0        first start",
        "2026-01-01T00:01:00Z  checkpoint            step 20       saved",
    ]
    assert json.loads(run("events", "small", "-o", "json").output.splitlines()[0])["event"] == "start"


class TestLogs:
    @pytest.fixture(autouse=True)
    def logs(self, workdir: Workdir) -> None:
        (workdir.layout.logs / "clean-0.log").write_text("one\ntwo\nthree\n")
        (workdir.layout.logs / "trainer-0.log").write_text("[rank 0] a\n[rank 1] b\n[supervisor] c\n")
        (workdir.layout.logs / "trainer-1.log").write_text("[rank 2] d\n[rank 3] e\n")

    def test_the_trainers_with_whose_they_are(self) -> None:
        lines = run("logs", "small").output.splitlines()
        assert lines == [
            "trainer-0 | [rank 0] a",
            "trainer-0 | [rank 1] b",
            "trainer-0 | [supervisor] c",
            "trainer-1 | [rank 2] d",
            "trainer-1 | [rank 3] e",
        ]

    def test_of_a_stage_and_of_a_rank(self) -> None:
        assert run("logs", "small", "--stage", "clean", "--tail", "2").output == "two\nthree\n"
        assert run("logs", "small", "--rank", "3").output == "[rank 3] e\n"
        assert run("logs", "small", "-f", "--rank", "0").output == "[rank 0] a\n"

    def test_what_is_not_there(self) -> None:
        assert run("logs", "small", "--stage", "blend").output.endswith(
            "has no log of blend; there are: clean, trainer\n"
        )
        assert "there is no rank 4; ranks are 0 to 3" in run("logs", "small", "--rank", "4").output
        assert run("logs", "small", "--stage", "nonsense").exit_code == 2


def test_suspend_interrupts_the_process_that_works_in_the_directory(holder: subprocess.Popen[str]) -> None:
    assert "nothing runs in it" not in run("status", "small").output
    result = run("suspend", "small")
    assert result.exit_code == 0, result.output
    assert f"process {holder.pid} was asked to stop" in result.output
    assert holder.wait(20) == 0
    assert "nothing to stop" in run("suspend", "small").output


def test_suspend_leaves_a_process_alone_that_only_has_the_number(workdir: Workdir) -> None:
    (workdir.root / ".lock").write_text(str(os.getpid()))
    assert "nothing to stop" in run("suspend", "small").output


def test_resume_says_how_and_refuses_while_it_runs(workdir: Workdir) -> None:
    assert run("resume", "small").output.startswith("go on with: pretrain run FILE --workdir runs/small")


def test_resume_refuses_while_it_runs(holder: subprocess.Popen[str]) -> None:
    result = run("resume", "small")
    assert result.exit_code == 1
    assert f"process {holder.pid} works in it already" in result.output


class TestRollback:
    def test_is_kept_for_the_next_run_by_the_annotation_that_a_job_of_the_cluster_has(self, workdir: Workdir) -> None:
        result = run("rollback", "small", "--to-step", "20", "--skip-sequences", "64")
        assert result.exit_code == 0, result.output
        assert result.output == (
            "runs/small: training goes back to its newest whole checkpoint at or before step 20, "
            "and leaves out the next 64 sequences; start it with: pretrain resume small FILE\n"
        )
        workdir.open()
        job = begin(validate_text(MANIFEST).jobs[0], workdir).job
        workdir.close()
        request = rollback_request(job)
        assert isinstance(request, RollbackRequest)
        assert (request.to_step, request.skip_sequences) == (20, 64)

    def test_each_has_an_id_of_its_own_and_the_newest_counts(self, workdir: Workdir) -> None:
        ids = set()
        for step in ("20", "10"):
            run("rollback", "small", "--to-step", step)
            marker = workdir.marker()
            assert marker is not None
            request = RollbackRequest.model_validate_json(marker.annotations[ANNOTATION_ROLLBACK])
            ids.add(request.id)
        assert request.to_step == 10
        assert len(ids) == 2

    @pytest.mark.parametrize(
        ("arguments", "why"),
        [
            (("--to-step", "41"), "--to-step 41 is ahead of training, which is at step 40; give a step before"),
            (("--to-step", "40"), "training is at step 40 itself: give a step before, or --skip-sequences"),
        ],
    )
    def test_is_refused_where_there_is_nothing_to_go_back_from(
        self, workdir: Workdir, arguments: tuple[str, ...], why: str
    ) -> None:
        result = run("rollback", "small", *arguments)
        assert (result.exit_code, result.output) == (1, f"pretrain rollback: {why}\n")
        marker = workdir.marker()
        assert marker is not None
        assert not marker.annotations

    def test_usage_errors_end_with_2(self, workdir: Workdir) -> None:
        assert run("rollback", "small").exit_code == 2
        assert run("rollback", "small", "--to-step", "-1").exit_code == 2


class TestPlotAndReport:
    @pytest.fixture(autouse=True)
    def metrics(self, workdir: Workdir) -> None:
        lines = [{"step": step, "tokens": step * 64, "loss": 8.0 - step / 10} for step in range(1, 41)]
        workdir.layout.metrics.write_text("".join(json.dumps(line) + "\n" for line in lines))
        workdir.layout.evaluations.write_text('{"step": 20, "tokens": 1280, "validationLoss": 6.1}\n')

    def test_the_loss_in_the_terminal(self) -> None:
        head, *lines = run("plot", "small").output.splitlines()
        assert head == "small: loss 4.000 at step 40, nats a token; ◆ validation 6.100"
        assert lines[0].startswith("7.900 ┤⠉")
        assert lines[15].startswith("4.000 ┤")
        assert sum("◆" in line for line in lines) == 1
        assert lines[-1].split() == ["1", "step", "40"]

    def test_the_loss_as_a_picture(self, tmp_path: Path) -> None:
        path = tmp_path / "loss.png"
        assert run("plot", "small", "--png", str(path)).output == f"{path}\n"
        assert path.read_bytes().startswith(b"\x89PNG")
        assert "can't be written" in run("plot", "small", "--png", str(tmp_path / "none" / "loss.png")).output

    def test_the_report_in_its_directory_and_elsewhere(self, workdir: Workdir, tmp_path: Path) -> None:
        assert run("report", str(workdir.root)).output.endswith("runs/small/report/index.html\n")
        result = run("report", "small", "-o", str(tmp_path / "page.html"))
        assert result.output.endswith(f"{tmp_path / 'page.html'}\n")
        assert (tmp_path / "page.html").read_bytes() == (workdir.layout.report / "index.html").read_bytes()


def test_plot_before_the_first_step_says_so(workdir: Workdir) -> None:
    result = run("plot", "small")
    assert (result.exit_code, len(result.output.splitlines())) == (1, 1)
    assert "has no metrics yet" in result.output


def test_submit_refuses_what_validate_refuses(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(MANIFEST.replace("from: 0}", "from: 1M}"))
    result = run("submit", str(path))
    assert result.exit_code == 1
    assert f"{path}: spec.training.batch.stages[0].from: the first stage starts at 1M; write 0" in result.output
