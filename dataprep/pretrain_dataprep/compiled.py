"""Numba with one set of options: compiled ahead by signature, cached on disk, without the interpreter lock."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pretrain_api.kernel_cache import choose_kernel_cache

choose_kernel_cache(Path(__file__).parent)

import numba  # noqa: E402 (reads its environment when it is imported)

TEXT = "Array(uint8, 1, 'C', readonly=True)"
"""Signature of a buffer of UTF-8 bytes."""


def compiled(*signatures: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Compile a function for the given signatures when its module is imported (a cached one loads in milliseconds)."""
    return numba.njit(list(signatures), cache=True, nogil=True, boundscheck=False)


def inlined(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make a function usable inside compiled ones."""
    return numba.njit(cache=False, nogil=True)(function)
