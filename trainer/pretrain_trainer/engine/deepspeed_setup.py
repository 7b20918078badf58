"""Importing DeepSpeed quietly, quickly, and without a compiler. Import it from here and nowhere else.

Measured on one core: `deepspeed.initialize` takes 4.6 s longer because a look for Muon compiles three functions that
aren't called, for which all of torch.compile's machinery is imported; and on a machine without GPUs DeepSpeed builds a
shared-memory all-reduce at first use (23 s, with a compiler that pods and laptops may lack), which training never
calls: it serves tensor-parallel inference.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

GPU_DEVICES = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")
"""Device files of NVIDIA, AMD and Windows' Linux; looking for them doesn't initialise anything, so that forks stay
safe."""

without_gpu = not any(Path(device).exists() for device in GPU_DEVICES)
if without_gpu:
    os.environ.setdefault("DS_ACCELERATOR", "cpu")  # else DeepSpeed warns that it found no accelerator

import deepspeed  # noqa: E402
import deepspeed.ops  # noqa: E402
from deepspeed.runtime import compiler  # noqa: E402
from deepspeed.utils import logger  # noqa: E402

__all__ = ["deepspeed"]


@contextlib.contextmanager
def _without_compiling() -> Iterator[None]:
    def uncompiled(**_: Any) -> Callable[[Any], Any]:
        return lambda function: function

    original = compiler.compile
    compiler.compile = uncompiled
    try:
        yield
    finally:
        compiler.compile = original


logger.setLevel(logging.ERROR)
with _without_compiling(), contextlib.suppress(ImportError):  # where this version of DeepSpeed has no Muon
    importlib.import_module("deepspeed.runtime.zero.muon.original_muon")
if without_gpu:
    deepspeed.ops.__compatible_ops__ = {}  # what can be built; nothing is looked for in an empty table
