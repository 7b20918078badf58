"""Numba with one set of options: compiled ahead by signature, cached on disk, without the interpreter lock."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any


def _choose_cache() -> None:
    """Keep compiled code beside the source; where that is read-only (an image), in a directory for temporary files."""
    if "NUMBA_CACHE_DIR" not in os.environ and not os.access(Path(__file__).parent, os.W_OK):
        os.environ["NUMBA_CACHE_DIR"] = str(Path(tempfile.gettempdir()) / f"pretrain-numba-{os.getuid()}")


_choose_cache()

import numba  # noqa: E402 (reads its environment when it is imported)

TEXT = "Array(uint8, 1, 'C', readonly=True)"
"""Signature of a buffer of UTF-8 bytes."""


def compiled(*signatures: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Compile a function for the given signatures when its module is imported (a cached one loads in milliseconds)."""
    return numba.njit(list(signatures), cache=True, nogil=True, boundscheck=False)


def inlined(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make a function usable inside compiled ones."""
    return numba.njit(cache=False, nogil=True)(function)
