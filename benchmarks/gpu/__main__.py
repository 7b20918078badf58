"""`python -m benchmarks.gpu`: training steps on one GPU; a line of JSON a case, the most telling cases first.

Of each case: bytes estimated and measured (torch.cuda.max_memory_allocated), tokens a second, MFU ((6N + 12LHT) a
token over the GPU's dense BF16 peak), losses. No case begins once `--seconds` are over: five minutes at most.

Nothing has to be installed on the machine with the GPU but what the trainer imports: torch >= 2.9, DeepSpeed, hjson,
pydantic (with pydantic_core, annotated_types, typing_inspection), orjson, safetensors, xxhash, prometheus_client,
numba. `PYTHONPATH=api:trainer:. python3 -m benchmarks.gpu --output gpu.jsonl`
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import time
import traceback
from pathlib import Path
from typing import Any

import torch

from benchmarks.gpu.cases import Case, cases
from benchmarks.gpu.measuring import measure, release
from pretrain_trainer.engine.deepspeed_setup import deepspeed
from pretrain_trainer.engine.process_group import ProcessGroup
from pretrain_trainer.environment import RankEnvironment

TINY = (
    Case("tiny", 64, 2, 2, "bf16"),
    Case("tiny", 64, 2, 1, "bf16", 3, "full"),
    Case("tiny", 64, 2, 1, "fp32", 0, "selective", loss_chunk_elements=1 << 16),
    Case("tiny", 64, 2, 1, "bf16", compiled=True),
)
SHORT = (
    *("gpu", "torch", "leftOut", "case", "error", "tokensPerSecond", "mfu", "secondsPerStep", "estimatedBytes"),
    *("peakBytes", "estimatedToMeasured", "firstLoss", "lastLoss", "atSeconds"),
)
"""What a short line says."""


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=270, help="begin no case after this long (270)")
    parser.add_argument("--output", type=Path, help="write the lines of JSON here, and print short ones")
    parser.add_argument("--only", default="", help="only cases whose name contains this")
    parser.add_argument("--tiny", action="store_true", help="a tiny network instead: to try the script without a GPU")
    run(parser.parse_args())


def run(arguments: argparse.Namespace) -> None:
    """Measure what the arguments say."""
    began = time.monotonic()
    group = one_process()
    _write(_machine(), arguments.output)
    for case in TINY if arguments.tiny else cases():
        if arguments.only not in case.name:
            continue
        if time.monotonic() - began > arguments.seconds:
            _write({"leftOut": case.name}, arguments.output)
            continue
        _write({**_guarded(case, group), "atSeconds": round(time.monotonic() - began, 1)}, arguments.output)
    group.close()


def one_process() -> ProcessGroup:
    """Return a group of this process alone."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), RANK="0", LOCAL_RANK="0", WORLD_SIZE="1")
    here = Path.cwd()
    return ProcessGroup(RankEnvironment(0, 0, 1, 1, config=here, storage=here, run_directory=here), 120)


def _guarded(case: Case, group: ProcessGroup) -> dict[str, Any]:
    """Measure a case; one that fails (out of memory, say) must not cost the others."""
    try:
        return measure(case, group)
    except Exception as error:
        traceback.print_exc()
        message = " ".join(str(error).split())[:400]
    finally:
        release()
    return {"case": case.name, "error": message}


def _machine() -> dict[str, Any]:
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    memory = torch.cuda.mem_get_info()[1] if torch.cuda.is_available() else None
    return {"gpu": gpu, "gpuMemoryBytes": memory, "torch": torch.__version__, "deepspeed": deepspeed.__version__}


def _write(figures: dict[str, Any], output: Path | None) -> None:
    """Write a line of JSON: to the output, or to `output` whole and to the output what fits in a line."""
    if output is not None:
        with output.open("a") as file:
            file.write(json.dumps(figures) + "\n")
        figures = {name: value for name, value in figures.items() if name in SHORT}
    print(json.dumps(figures), flush=True)


if __name__ == "__main__":
    main()
