"""A small preparation program that speaks the protocol of docs/wire-formats.md.

Usage: stage.py STAGE SCRIPT. SCRIPT is JSON: {"clean-1": ["70", "hang", "0"]} gives what the tries of a work item do,
one after the other: an exit code, a signal's name, hang (until SIGTERM), deaf (SIGTERM ignored), gone:STAGE (the output
of that stage isn't there). The last entry holds for all further tries; items that aren't named succeed. Every
try is noted in tries.jsonl of the storage.
"""

import json
import os
import signal
import sys
from pathlib import Path

FOLDERS = {
    "filter-models": "data/filters",
    "clean": "data/clean",
    "dedup-pairs": "data/dedup",
    "dedup-clusters": "data/dedup",
    "tokenizer": "data/tokenizer",
    "augment-plan": "data/augmentation",
    "tokenize": "data/tokenized",
    "blend": "data",
    "report": "report",
}
REASONS = {64: "InvalidConfiguration", 65: "MissingData", 75: "StorageFull"}


def say(outcome, reason, message="", counts=None, missing=None):
    document = {"outcome": outcome, "reason": reason, "message": message, "counts": counts or {}}
    document |= {"missingStage": missing} if missing else {}
    Path(os.environ["PRETRAIN_TERMINATION_LOG"]).write_text(json.dumps(document))


def note(storage, item, what):
    line = json.dumps({"item": item, "what": what, "pid": os.getpid()}) + "\n"
    with (storage / "tries.jsonl").open("a") as file:
        file.write(line)


def tries_before(storage, item):
    path = storage / "tries.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return sum(json.loads(line)["item"] == item for line in lines if json.loads(line)["what"] != "end")


def hang():
    import threading
    from http.server import BaseHTTPRequestHandler, HTTPServer

    class Progress(BaseHTTPRequestHandler):
        def do_GET(self):
            progress = {"stage": sys.argv[1], "documentsIn": 7, "documentsOut": 5, "message": "at work"}
            body = json.dumps(progress).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    server = HTTPServer(("127.0.0.1", int(os.environ["PRETRAIN_HTTP_PORT"])), Progress)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    stop.wait()
    say("Stopped", "Stopped")
    sys.exit(143)


def main():
    stage, script = sys.argv[1], json.loads(sys.argv[2])
    storage = Path(os.environ["PRETRAIN_STORAGE"])
    json.loads(Path(os.environ["PRETRAIN_CONFIG"]).read_text())
    item = f"{stage}-{os.environ.get('JOB_COMPLETION_INDEX', '0')}"
    actions = script.get(item, ["0"])
    action = actions[min(tries_before(storage, item), len(actions) - 1)]
    note(storage, item, action)
    print(f"{item}: {action}", flush=True)
    if action == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        while True:
            signal.pause()
    if action == "hang":
        hang()
    if action.startswith("SIG"):
        os.kill(os.getpid(), signal.Signals[action])
    if action.startswith("gone:"):
        missing = action.removeprefix("gone:")
        say("Failed", "MissingOutput", f"data/{missing} isn't there; it is made again", missing=missing)
        sys.exit(75)
    if action != "0":
        say("Failed", REASONS.get(int(action), "InternalError"), f"corpus.jsonl:3: broken ({action}); mend line 3")
        sys.exit(int(action))
    folder = storage / FOLDERS[stage]
    folder.mkdir(parents=True, exist_ok=True)
    if stage == "blend":
        write_blend(folder / "blend.json")
    (folder / f"{item}.txt").write_text("done\n")
    say(
        "Completed",
        "Completed",
        counts={"documentsIn": 10, "documentsOut": 8, "trainTokens": 1000, "removed.too-short": 2},
    )
    note(storage, item, "end")


def write_blend(path):
    document = {"fingerprint": "f", "dtype": "uint16", "vocabSize": 300, "tokenizer": "data/tokenizer"}
    document |= {"specialTokens": {}, "sources": [], "phases": []}
    path.write_text(json.dumps(document))


main()
