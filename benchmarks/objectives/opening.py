"""In a process of its own: open a corpus and build samples; print seconds and memory as JSON."""

from __future__ import annotations

import time

_BEGAN = time.perf_counter()

import json  # noqa: E402 (the clock runs while things are imported)
import sys  # noqa: E402
from pathlib import Path  # noqa: E402

from benchmarks.objectives.building import batches_of  # noqa: E402
from pretrain_api.wire import Blend  # noqa: E402

SAMPLES = 4096


def main(folder: Path) -> None:
    """Print `{"seconds": to the first batch, "mebibytes": taken after many}`."""
    blend = Blend.model_validate_json((folder / "blend.json").read_bytes())
    batches = batches_of(blend, folder, "decoder", {"type": "causal-lm"}, 2048)
    batches.read_consumed(0, 8)
    seconds = time.perf_counter() - _BEGAN
    for first in range(0, SAMPLES, 8):
        batches.read_consumed(first * 997, 8)
    status = Path("/proc/self/status").read_text()
    kibibytes = int(status.split("RssAnon:")[1].split()[0])  # what is mapped from files is given back when it is needed
    print(json.dumps({"seconds": seconds, "mebibytes": kibibytes / 1024}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
