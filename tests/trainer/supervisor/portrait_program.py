"""A rank that says what its process is like, after having used torch as a trainer does: one JSON object a rank."""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import threading
from pathlib import Path

import deepspeed
import numpy
import torch
import torch.distributed as dist
from torch.utils.data import DataLoader

from pretrain_api.wire import ENV_STORAGE


def squares(numbers: list[int]) -> list[int]:
    """Work for the data loader's processes."""
    return [number * number for number in numbers]


def handler_name(number: int) -> str:
    """Name what a signal does; the data loader has its own handler of SIGCHLD."""
    handler = signal.getsignal(number)
    return getattr(handler, "__qualname__", str(handler))


def portrait() -> dict[str, object]:
    """Describe this process; nothing in it may depend on how it was started."""
    rank = dist.get_rank()
    total = torch.tensor([float(rank + 1)])
    dist.all_reduce(total)
    weights = torch.randn(64, 64, requires_grad=True)
    weights.sum().backward()
    loader = DataLoader(list(range(8)), batch_size=4, num_workers=1, collate_fn=squares)
    main_module = sys.modules["__main__"]
    return {
        "name": __name__,
        "main": main_module.__spec__.name if main_module.__spec__ else None,
        "argv": sys.argv[1:],
        "program": Path(sys.argv[0]).name,
        "path": sys.path[0],
        "directory": str(Path.cwd()),
        "flags": str(sys.flags),
        "total": total.item(),
        "gradient": weights.grad.sum().item() if weights.grad is not None else None,
        "loaded": [item for batch in loader for item in batch],
        "seeds": [torch.initial_seed(), random.getstate()[1][1], int(numpy.random.get_state()[1][1])],
        "threads": [torch.get_num_threads(), torch.get_num_interop_threads()],
        "pythonThreads": [thread.name for thread in threading.enumerate() if thread is threading.main_thread()],
        "signals": [handler_name(number) for number in (signal.SIGTERM, signal.SIGCHLD, signal.SIGINT)],
        "leader": os.getsid(0) == os.getpid() == os.getpgid(0),
        "standardInput": str(Path("/proc/self/fd/0").readlink()),
        "outputs": [sys.stdout.line_buffering, sys.stdout.encoding, sys.stderr.encoding],
        "deepspeed": deepspeed.__version__,
        "environment": {name: value for name, value in sorted(os.environ.items()) if name.startswith(("OMP", "PY"))},
    }


def main() -> None:
    """Write the portrait."""
    dist.init_process_group("gloo")
    text = json.dumps(portrait())
    storage = Path(os.environ[ENV_STORAGE])
    (storage / f"portrait-{dist.get_rank()}.json").write_text(text)
    dist.barrier()
    dist.destroy_process_group()
    if os.environ["RANK"] == "0":
        (storage / "completed.json").write_text("{}")


if __name__ == "__main__":
    main()
