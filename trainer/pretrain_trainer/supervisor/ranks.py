"""The ranks of this node: started, watched, stopped; how they ended."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from pretrain_api.names import Reason
from pretrain_api.wire import ExitCode, TerminationMessage, TrainerProgress
from pretrain_trainer import rank_protocol as protocol
from pretrain_trainer.supervisor.agent import LocalRanks, Start, StopMode
from pretrain_trainer.supervisor.host import memory_kills, usable_processors
from pretrain_trainer.supervisor.launcher_client import Answer, LauncherClient, watch_pipe
from pretrain_trainer.supervisor.logs import LOGGER, LineWriter
from pretrain_trainer.supervisor.messages import RankFailure
from pretrain_trainer.supervisor.settings import Settings
from pretrain_trainer.supervisor.stopping import StopPlan
from pretrain_trainer.supervisor.watchdog import Watchdog

_STOPPED_AS_ASKED = (ExitCode.DONE, ExitCode.STOPPED, -signal.SIGTERM)
"""Ways to end after SIGTERM that say that all is well; by the signal itself: before the rank could handle it."""


@dataclass
class _Rank:
    """One rank of the current generation."""

    pid: int | None = None
    status: int | None = None
    """Exit code, or minus the signal; None while it lives."""


class RankGroup:
    """The ranks of this node in their current generation; an edge: processes, files, pipes."""

    def __init__(self, settings: Settings, writer: LineWriter, wake: Callable[[], None]) -> None:
        """Start the launcher, so that it imports while nodes find each other."""
        self._settings = settings
        self._writer = writer
        self._wake = wake
        self._scratch = make_scratch_directory()
        self._launcher: LauncherClient | None = None
        self._pending: Start | None = None
        """Ordered, but the launcher isn't ready."""
        self._current = Start(0, 0, "")
        self._master_address = settings.world.master_address
        self._ranks: dict[int, _Rank] = {}
        self._failures: list[RankFailure] = []
        self._plan: StopPlan | None = None
        self._progress: tuple[int, TrainerProgress] | None = None
        """Modification time (nanoseconds) and content."""
        self._watchdog = Watchdog(settings.hang_timeout_seconds, settings.start_timeout_seconds, 0.0)
        self._memory_kills = memory_kills()
        self._ensure_launcher()

    @property
    def local(self) -> LocalRanks:
        """What `agent.decide` needs to know."""
        return LocalRanks(self._current.generation, self._current.coordinator, self.live)

    @property
    def live(self) -> bool:
        """Is any rank process left, or about to be?"""
        return self._pending is not None or any(rank.status is None for rank in self._ranks.values())

    @property
    def finished(self) -> bool:
        """Have all ranks ended with exit code 0?"""
        return bool(self._ranks) and all(rank.status == ExitCode.DONE for rank in self._ranks.values())

    @property
    def failures(self) -> list[RankFailure]:
        """Ranks that ended, or hang, without having been asked to."""
        return self._failures

    @property
    def saved(self) -> bool:
        """Have all ranks ended as asked after SIGTERM?"""
        return all(rank.status in _STOPPED_AS_ASKED for rank in self._ranks.values())

    @property
    def run_directory(self) -> Path:
        """The run directory of the current generation."""
        return self._scratch / f"generation-{self._current.generation}"

    def heartbeat_age_seconds(self, now: float) -> float | None:
        """Return the age of the oldest heartbeat of a live rank; None where none lives."""
        ages = [
            self._watchdog.age_seconds(now, local_rank)
            for local_rank, rank in self._ranks.items()
            if rank.status is None
        ]
        return max(ages, default=None)

    def progress(self) -> TrainerProgress | None:
        """Return what rank 0 last said of the current generation."""
        path = protocol.progress_path(self.run_directory)
        try:
            version = path.stat().st_mtime_ns
            if self._progress is None or self._progress[0] != version:
                self._progress = (version, TrainerProgress.model_validate_json(path.read_bytes()))
        except FileNotFoundError:
            return None
        except ValidationError as error:
            LOGGER.warning("progress of rank 0 can't be read: %s", error.errors()[0]["msg"])
            return None
        return self._progress[1]

    def result(self, local_rank: int) -> TerminationMessage | None:
        """Return the termination message that a rank of the current generation has left."""
        try:
            text = protocol.result_path(self.run_directory, local_rank).read_bytes()
            return TerminationMessage.model_validate_json(text)
        except FileNotFoundError:
            return None
        except ValidationError as error:
            LOGGER.warning("result of local rank %d can't be read: %s", local_rank, error.errors()[0]["msg"])
            return None

    def start(self, order: Start, master_address: str, now: float) -> None:
        """Start the ranks of a generation; none of an earlier one may be left.

        Args:
            order: Which generation.
            master_address: Where rank 0 is found.
            now: Monotonic time, in seconds.
        """
        previous = self.run_directory
        self._current = order
        self._master_address = master_address
        shutil.rmtree(previous, ignore_errors=True)
        self.run_directory.mkdir()
        self._ranks = {}
        self._failures = []
        self._plan = None
        self._progress = None
        self._pending = order
        self._watchdog = Watchdog(self._settings.hang_timeout_seconds, self._settings.start_timeout_seconds, now)
        self._memory_kills = memory_kills()
        self._ensure_launcher()
        self._launch_pending()

    def stop(self, mode: StopMode, now: float) -> None:
        """Stop all ranks; `observe` does what is due later."""
        self._pending = None
        if not self.live:
            return
        if self._plan is None:
            LOGGER.info("stopping the ranks of generation %d (%s)", self._current.generation, mode.name.lower())
            self._plan = StopPlan.begin(mode, now, self._settings.grace_seconds)
        else:
            self._plan.strengthen(mode, now)
        self._send_due(now)

    def observe(self, now: float) -> None:
        """Send due signals, look at heartbeats."""
        reap_orphans(self._launcher.pid if self._launcher else 0)
        self._send_due(now)
        if self._plan is not None or self._pending is not None:
            return
        for local_rank, rank in self._ranks.items():
            if rank.status is not None:
                continue
            with contextlib.suppress(FileNotFoundError):
                modified = protocol.heartbeat_path(self.run_directory, local_rank).stat().st_mtime_ns
                self._watchdog.see(now, local_rank, modified)
            if self._watchdog.hangs(now, local_rank):
                self._hang(now, local_rank)

    def close(self) -> None:
        """End the launcher and whatever ranks are left; remove the scratch directory."""
        if self._launcher is not None:
            self._launcher.kill()
        shutil.rmtree(self._scratch, ignore_errors=True)

    def _ensure_launcher(self) -> None:
        if self._launcher is not None:
            return
        world, warm = self._settings.world, self._settings.warm_standby
        environment = {
            # As torchrun does, but by the processors that there are: ranks that compete for them are slower than one.
            "OMP_NUM_THREADS": str(max(1, usable_processors() // world.local_world_size)),
            # torch then asks the driver's library, and doesn't initialise CUDA in the launcher.
            "PYTORCH_NVML_BASED_CUDA_CHECK": "1",
            **os.environ,
            "PYTHONUNBUFFERED": "1",
        }
        self._launcher = LauncherClient(
            module=self._settings.rank_module,
            imports=self._settings.standby_imports if warm else (),
            environment=environment,
            on_answer=self._answer,
            on_line=lambda line: self._writer.write({"component": "launcher"}, sys.stderr.buffer, line),
        )

    def _launch_pending(self) -> None:
        if self._pending is None or self._launcher is None or not self._launcher.ready:
            return
        order, self._pending = self._pending, None
        for local_rank in range(self._settings.world.local_world_size):
            self._ranks[local_rank] = _Rank()
            self._launch(self._launcher, order, local_rank)

    def _launch(self, launcher: LauncherClient, order: Start, local_rank: int) -> None:
        rank = self._global_rank(local_rank)
        ours_out, theirs_out = os.pipe()
        ours_err, theirs_err = os.pipe()
        watch_pipe(ours_out, lambda line: self._writer.write({"rank": rank}, sys.stdout.buffer, line))
        watch_pipe(ours_err, lambda line: self._writer.write({"rank": rank}, sys.stderr.buffer, line))
        launcher.start(local_rank, self._rank_environment(order, local_rank), theirs_out, theirs_err)
        os.close(theirs_out)
        os.close(theirs_err)

    def _rank_environment(self, order: Start, local_rank: int) -> dict[str, str]:
        world = self._settings.world
        return {
            protocol.RANK_VARIABLE: str(self._global_rank(local_rank)),
            protocol.LOCAL_RANK_VARIABLE: str(local_rank),
            protocol.WORLD_SIZE_VARIABLE: str(world.num_nodes * world.local_world_size),
            protocol.LOCAL_WORLD_SIZE_VARIABLE: str(world.local_world_size),
            protocol.MASTER_ADDRESS_VARIABLE: self._master_address,
            protocol.MASTER_PORT_VARIABLE: str(order.master_port),
            protocol.RUN_DIRECTORY_VARIABLE: str(self.run_directory),
        }

    def _global_rank(self, local_rank: int) -> int:
        return self._settings.world.node_rank * self._settings.world.local_world_size + local_rank

    def _answer(self, answer: Answer | None) -> None:
        if answer is None:
            self._launcher_gone()
        elif "ready" in answer:
            ready = answer["ready"]
            LOGGER.info("launcher ready after %.1f s (%s)", ready["seconds"], "warm" if ready["warm"] else "cold")
            self._launch_pending()
        elif "started" in answer:
            self._ranks[answer["started"]].pid = answer["pid"]
        elif "exited" in answer:
            self._exited(answer["exited"], answer["status"])
        self._wake()

    def _launcher_gone(self) -> None:
        """The kernel kills the ranks of a launcher that dies; wait for that, then take it as their death."""
        LOGGER.warning("the launcher died, and with it the ranks of this node")
        self._launcher = None
        for local_rank, rank in self._ranks.items():
            if rank.status is None:
                if rank.pid is not None:
                    _wait_for_death(rank.pid)
                self._exited(local_rank, -signal.SIGKILL)
        if self._pending is not None:
            self._ensure_launcher()

    def _exited(self, local_rank: int, status: int) -> None:
        self._ranks[local_rank].status = status
        LOGGER.info("rank %d ended: %s", self._global_rank(local_rank), describe_status(status))
        if status == ExitCode.DONE:
            return
        asked = self._plan is not None and self._plan.asked
        saving = self._plan is not None and self._plan.mode is StopMode.SAVE
        if asked and (not saving or status in _STOPPED_AS_ASKED):
            return
        reason, message = self._explain(local_rank, status)
        self._fail(local_rank, status if status > 0 else None, reason, message)

    def _explain(self, local_rank: int, status: int) -> tuple[str, str]:
        rank = self._global_rank(local_rank)
        result = self.result(local_rank)
        if result is not None and result.outcome == "Failed":
            return result.reason, result.message
        if status == -signal.SIGKILL and memory_kills() > self._memory_kills:
            return Reason.OUT_OF_MEMORY, (
                f"rank {rank} was killed by the kernel for want of memory; raise the memory limit of "
                "spec.trainer.resourcesPerNode, or lower spec.training.microBatchSize"
            )
        if status < 0:
            return Reason.KILLED, f"rank {rank} was ended by {describe_status(status)}"
        return Reason.RANK_FAILED, f"rank {rank} ended with {describe_status(status)}; its log says why"

    def _hang(self, now: float, local_rank: int) -> None:
        age = self._watchdog.age_seconds(now, local_rank)
        rank = self._global_rank(local_rank)
        if not any(failure.rank == rank for failure in self._failures):
            self._fail(local_rank, None, Reason.HANG, f"rank {rank} has made no step for {age:.0f} s")

    def _fail(self, local_rank: int, exit_code: int | None, reason: str, message: str) -> None:
        failure = RankFailure(
            node_rank=self._settings.world.node_rank,
            rank=self._global_rank(local_rank),
            exit_code=exit_code,
            reason=reason,
            message=message,
            time=time.time(),
        )
        self._failures.append(failure)
        LOGGER.warning("%s: %s", reason, message)

    def _send_due(self, now: float) -> None:
        if self._plan is None or self._launcher is None or not self.live:
            return
        for number in self._plan.due(now):
            self._launcher.signal(number)


def make_scratch_directory() -> Path:
    """Make a directory for this process; remove those of supervisors that were killed."""
    for left_over in Path(tempfile.gettempdir()).glob("pretrain-trainer-*-*"):
        if not Path("/proc", left_over.name.split("-")[2]).exists():
            shutil.rmtree(left_over, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"pretrain-trainer-{os.getpid()}-"))


def describe_status(status: int) -> str:
    """Return an exit status (negative: a signal) in words."""
    return f"exit code {status}" if status >= 0 else signal.Signals(-status).name


def reap_orphans(launcher: int) -> None:
    """Reap dead descendants that became children of this process; the launcher is left to its owner."""
    while True:
        try:
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return
        if ended is None or ended.si_pid == launcher:
            return
        os.waitpid(ended.si_pid, 0)


def _wait_for_death(pid: int) -> None:
    """Wait until a process is gone; it was killed, so this takes as long as the kernel needs to free its memory."""
    while True:
        reap_orphans(0)
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        time.sleep(0.01)
