"""A small training program that speaks the rank protocol without torch: ranks step together over sockets of their own.

What it "trains" is a counter: `checkpoint.json` in the storage has the step. PRETRAIN_RANK_MODULE=rank_program
starts it; REHEARSAL is a JSON object:

- `steps`, `stepSeconds`, `checkpointEvery`; training also ends when there is a file `enough` in the storage;
- `imports`: modules that a rank imports first;
- `startSeconds`: how long a rank takes until it meets the others;
- `faults`: `[{"rank", "step", "action", "times"}]`; actions: `exit N`, `signal N`, `hang`, `exit-without-result N`.
  A fault happens at that step, `times` times in the life of the storage (default 1, -1: always).

Each rank holds a lock on `rank-N.lock` while it lives, and writes `overlap` if somebody else has it; `lives.jsonl` has
a line for each life.
"""

from __future__ import annotations

import faulthandler
import fcntl
import importlib
import json
import os
import signal
import socket
import struct
import sys
import time
from pathlib import Path

from pretrain_api.status import Checkpoints, CheckpointStatus, TrainingStatus
from pretrain_api.wire import ENV_TRAINING_CONFIGURATION, ExitCode, StorageLayout, TerminationMessage, TrainerProgress
from pretrain_trainer import rank_protocol
from pretrain_trainer.completion import write_marker
from pretrain_trainer.ledger import utc_now

ENOUGH_FLAG = 1
STOP_FLAG = 2
PEER_TIMEOUT_SECONDS = 30.0


class StoppedError(Exception):
    """SIGTERM came and the checkpoint is saved."""


class Rehearsal:
    """One rank."""

    def __init__(self) -> None:
        self.plan = json.loads(os.environ["REHEARSAL"])
        self.rank = int(os.environ["RANK"])
        self.local_rank = int(os.environ["LOCAL_RANK"])
        self.world_size = int(os.environ["WORLD_SIZE"])
        self.storage = StorageLayout(os.environ["PRETRAIN_STORAGE"])
        self.run_directory = Path(os.environ["PRETRAIN_RUN_DIRECTORY"])
        self.step = 0
        self.saved = 0
        self.stop_wanted = False
        self.peers: list[socket.socket] = []

    def run(self) -> None:
        """Train to the end."""
        for name in self.plan.get("imports", []):
            importlib.import_module(name)
        self.take_lock()
        time.sleep(self.plan.get("startSeconds", 0.0))
        self.meet()
        self.load()
        self.report("Starting")
        while self.step < self.plan["steps"]:
            self.have_fault()
            time.sleep(self.plan["stepSeconds"])
            flag = self.exchange(self.flag())
            self.step += 1
            self.heartbeat()
            if self.step % self.plan["checkpointEvery"] == 0 or flag == STOP_FLAG:
                self.save()
            self.report("Training")
            if flag == STOP_FLAG:
                raise StoppedError
            if flag == ENOUGH_FLAG:
                break
        self.save()
        self.exchange(0)
        if self.rank == 0:
            write_marker(self.storage, os.environ.get(ENV_TRAINING_CONFIGURATION), {"step": self.step})
        self.leave_result("Completed", "Completed", f"made {self.step} steps")

    def flag(self) -> int:
        """Say what this rank wants; the largest wish of all is done."""
        if self.stop_wanted:
            return STOP_FLAG
        return ENOUGH_FLAG if self.rank == 0 and (self.storage.root / "enough").exists() else 0

    def take_lock(self) -> None:
        """Hold the rank's lock for life; say so if another process has it."""
        self.lock = (self.storage.root / f"rank-{self.rank}.lock").open("w")
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            (self.storage.root / "overlap").write_text(f"rank {self.rank} lives twice")
        life = {"rank": self.rank, "pid": os.getpid(), "time": time.time(), "argv": sys.argv[1:], "name": __name__}
        life |= {"generation": self.run_directory.name, "modules": sorted(set(sys.modules) & {"torch", "deepspeed"})}
        with (self.storage.root / "lives.jsonl").open("a") as lives:
            lives.write(json.dumps(life) + "\n")

    def meet(self) -> None:
        """Connect every rank with rank 0."""
        address = (os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]))
        if self.rank == 0:
            with socket.create_server(address) as server:
                server.settimeout(PEER_TIMEOUT_SECONDS)
                self.peers = [server.accept()[0] for _ in range(self.world_size - 1)]
        else:
            self.peers = [connect(address)]
        for peer in self.peers:
            peer.settimeout(PEER_TIMEOUT_SECONDS)
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def exchange(self, value: int) -> int:
        """Return the largest value of all ranks, as an all-reduce does; also a barrier."""
        if self.rank == 0:
            total = max([value, *(receive(peer) for peer in self.peers)])
            for peer in self.peers:
                peer.sendall(struct.pack("!i", total))
            return total
        self.peers[0].sendall(struct.pack("!i", value))
        return receive(self.peers[0])

    def load(self) -> None:
        """Go on from the checkpoint, where there is one; all ranks from the same."""
        path = self.storage.root / "checkpoint.json"
        step = json.loads(path.read_text())["step"] if self.rank == 0 and path.exists() else 0
        self.step = self.saved = self.exchange(step)

    def save(self) -> None:
        """Rank 0 writes the checkpoint."""
        self.saved = self.step
        if self.rank == 0:
            replace(self.storage.root / "checkpoint.json", json.dumps({"step": self.step}))

    def heartbeat(self) -> None:
        """Say that this rank lives."""
        rank_protocol.heartbeat_path(self.run_directory, self.local_rank).touch()

    def report(self, state: str) -> None:
        """Rank 0 says where training is."""
        if self.rank != 0:
            return
        latest = (
            CheckpointStatus(step=self.saved, tokens=self.saved * 10, time=utc_now(), uri="") if self.saved else None
        )
        progress = TrainerProgress(
            state=state,
            training=TrainingStatus(step=self.step, tokens=self.step * 10, total_steps=self.plan["steps"], loss=1.5),
            checkpoints=Checkpoints(latest=latest),
        )
        replace(rank_protocol.progress_path(self.run_directory), progress.model_dump_json(by_alias=True))

    def leave_result(self, outcome: str, reason: str, message: str) -> None:
        """Write the termination message."""
        text = TerminationMessage(outcome=outcome, reason=reason, message=message).to_json()
        replace(rank_protocol.result_path(self.run_directory, self.local_rank), text)

    def have_fault(self) -> None:
        """Do what the plan has for this rank and step."""
        for number, fault in enumerate(self.plan.get("faults", [])):
            if fault["rank"] == self.rank and fault["step"] == self.step and self.claim(number, fault.get("times", 1)):
                self.act(*fault["action"].split())

    def claim(self, number: int, times: int) -> bool:
        """Is the fault still to happen? Counted in the storage."""
        count = self.storage.root / f"fault-{number}"
        happened = int(count.read_text()) if count.exists() else 0
        count.write_text(str(happened + 1))
        return times < 0 or happened < times

    def act(self, action: str, argument: str = "0") -> None:
        """Fail as ordered."""
        print(f"fault: {action} {argument}", flush=True)
        if action == "signal":
            os.kill(os.getpid(), int(argument))
        elif action == "hang":
            while True:
                time.sleep(60)
        elif action == "exit-without-result":
            os._exit(int(argument))
        else:
            self.leave_result("Failed", "Rehearsed", f"rank {self.rank} was told to exit {argument}")
            sys.exit(int(argument))


def connect(address: tuple[str, int]) -> socket.socket:
    """Connect to rank 0, which may not be there yet."""
    deadline = time.monotonic() + PEER_TIMEOUT_SECONDS
    while True:
        try:
            return socket.create_connection(address, timeout=1.0)
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def receive(peer: socket.socket) -> int:
    """Receive a number."""
    data = peer.recv(4, socket.MSG_WAITALL)
    if len(data) < 4:
        raise ConnectionResetError("a peer went away")
    return struct.unpack("!i", data)[0]


def replace(path: Path, text: str) -> None:
    """Write a file atomically."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text)
    temporary.replace(path)


def main() -> int:
    """Run a rank; return its exit code."""
    faulthandler.register(signal.SIGUSR1)
    rehearsal = Rehearsal()

    def want_stop(*_: object) -> None:
        rehearsal.stop_wanted = True

    signal.signal(signal.SIGTERM, want_stop)
    print("hello from standard output", flush=True)
    print("hello from standard error", file=sys.stderr, flush=True)
    try:
        rehearsal.run()
    except StoppedError:
        rehearsal.leave_result("Stopped", "Stopped", f"saved at step {rehearsal.step}")
        return ExitCode.STOPPED
    except OSError as error:
        rehearsal.leave_result("Failed", "TemporaryFailure", f"rank {rehearsal.rank}: {error}")
        return ExitCode.TRY_AGAIN
    return ExitCode.DONE


if __name__ == "__main__":
    sys.exit(main())
