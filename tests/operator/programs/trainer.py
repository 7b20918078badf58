"""A small trainer that speaks the protocol of docs/wire-formats.md.

Usage: trainer.py SCRIPT. SCRIPT is JSON: {"steps": 20, "secondsPerStep": 0.02, "dieAt": [[5, "SIGKILL"], [9, "70"]]}:
each entry of dieAt is used by one life, in order. A lock on the storage makes a second trainer beside it end with 64.
Checkpoints are folders with a manifest, saved every 5 steps and on SIGTERM.
"""

import fcntl
import json
import os
import signal
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

STORAGE = Path(os.environ["PRETRAIN_STORAGE"])
state = {"state": "Starting", "training": {}}
stop = threading.Event()


class Progress(BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps(state).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


def leave(code, outcome, reason, message=""):
    Path(os.environ["PRETRAIN_TERMINATION_LOG"]).write_text(
        json.dumps({"outcome": outcome, "reason": reason, "message": message})
    )
    sys.exit(code)


def lock():
    file = (STORAGE / f"trainer-{os.environ['PET_NODE_RANK']}.lock").open("a")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        leave(64, "Failed", "InvalidConfiguration", "two trainers at a time; never do that")
    return file


LIVES = STORAGE / "lives.txt"


def lives():
    return len(LIVES.read_text().splitlines()) if LIVES.exists() else 0


def life():
    number = lives()
    with LIVES.open("a") as file:
        file.write(f"{os.getpid()} {os.environ['PET_NNODES']} {os.environ['PET_NPROC_PER_NODE']}\n")
    return number


def save(step):
    folder = STORAGE / "checkpoints" / f"step-{step:09d}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "MANIFEST.json").write_text("{}")


def saved():
    steps = [int(path.name[5:]) for path in (STORAGE / "checkpoints").glob("step-*")]
    return max(steps, default=0)


def main():
    script = json.loads(sys.argv[1])
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    held = lock()
    assert held
    number = life()
    while lives() < int(os.environ["PET_NNODES"]):  # training begins when all nodes are there
        if stop.wait(0.01):
            leave(143, "Stopped", "Stopped")
    deaths = dict(script.get("dieAt", [])[number : number + 1])
    server = HTTPServer(("127.0.0.1", int(os.environ["PRETRAIN_HTTP_PORT"])), Progress)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    marker = STORAGE / "completed.json"
    step = saved()
    wanted = os.environ["PRETRAIN_TRAINING_CONFIGURATION"]
    if marker.exists() and json.loads(marker.read_text())["configuration"] != wanted:
        marker.rename(STORAGE / "completed-before.json")
    while step < script["steps"] and not marker.exists():
        if stop.wait(script.get("secondsPerStep", 0.01)):
            save(step)
            leave(143, "Stopped", "Stopped")
        step += 1
        state["state"] = "Training"
        state["training"] = {"step": step, "totalSteps": script["steps"], "loss": 5.0 - step / 10, "tokens": step * 512}
        with (STORAGE / "metrics.jsonl").open("a") as file:
            file.write(json.dumps(state["training"]) + "\n")
        if step % 5 == 0:
            save(step)
        if step in deaths:
            if deaths[step].startswith("SIG"):
                os.kill(os.getpid(), signal.Signals[deaths[step]])
            leave(int(deaths[step]), "Failed", script.get("reason", "RankFailed"), "rank 1 crashed; see its log")
    marker.write_text(json.dumps({"configuration": wanted}))
    state["state"] = "Completed"
    stop.wait()


main()
