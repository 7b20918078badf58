"""Commands, and what is left of them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from pretrain_cluster import ClusterError
from pretrain_cluster.processes import all_processes, contained, read_process, run, wait_until

PACKAGE_FOLDER = Path(__file__).parent


def test_a_command_gives_its_output_and_reads_its_input(tmp_path: Path) -> None:
    assert run(["echo", "out"]) == "out\n"
    assert run(["cat"], input="text") == "text"
    (tmp_path / "file").write_text("content")
    with (tmp_path / "file").open("rb") as content:
        assert run(["cat"], input=content) == "content"


def test_a_command_that_fails_says_what_it_was_for() -> None:
    with pytest.raises(ClusterError, match=r"^making tea: no water$"):
        run(["sh", "-c", "echo boiling >&2; echo no water >&2; exit 3"], doing="making tea")
    with pytest.raises(ClusterError, match="no-such-program is not installed: needed for making tea"):
        run(["no-such-program"], doing="making tea")


def test_processes_are_read_as_they_are() -> None:
    own = read_process(os.getpid())
    assert own is not None
    assert own.alive()
    assert own in set(all_processes())
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as process:
        wait_until(lambda: (found := read_process(process.pid)) is not None and found.arguments == ("cat",), 10, str)
        child = read_process(process.pid)
        assert child is not None
        child.kill()
    assert not child.alive()


def test_a_condition_that_never_holds_fails_with_its_message() -> None:
    with pytest.raises(ClusterError, match=r"^no luck$"):
        wait_until(lambda: False, 0.01, lambda: "no luck", 0.001)
    with pytest.raises(ClusterError, match=r"^no luck: false: exit status 1$"):
        wait_until(lambda: bool(run(["false"])), 0.01, lambda: "no luck", 0.001)


@pytest.mark.skipif(os.geteuid() != 0, reason="a process namespace needs root")
def test_a_contained_command_ends_with_its_caller_whatever_it_started(tmp_path: Path) -> None:
    mark = str(tmp_path / "mark")
    # A command that leaves a child in a session of its own, as builds and daemons do.
    command = contained(["sh", "-c", f"setsid tail -f /dev/null {mark}-child & exec tail -f /dev/null {mark}"])
    (tmp_path / "mark").touch()
    (tmp_path / "mark-child").touch()
    caller = [sys.executable, "-c", f"import subprocess; subprocess.run({[str(part) for part in command]!r})"]

    def started() -> set[str]:
        return {found.arguments[-1] for found in all_processes() if found.arguments[:2] == ("tail", "-f")}

    with subprocess.Popen(caller, env={**os.environ, "PYTHONPATH": str(PACKAGE_FOLDER)}) as process:
        wait_until(lambda: {mark, f"{mark}-child"} <= started(), 10, lambda: "it doesn't start")
        process.kill()
    wait_until(lambda: not {mark, f"{mark}-child"} & started(), 10, lambda: f"still there: {started()}")
