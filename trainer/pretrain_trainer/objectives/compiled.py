"""Numba with one set of options: compiled by signature when a module is imported, cached on disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pretrain_api.kernel_cache import choose_kernel_cache

choose_kernel_cache(Path(__file__).parent)

import numba  # noqa: E402 (reads its environment when it is imported)


def compiled(signature: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Compile a function for a signature when its module is imported (a cached one loads in milliseconds)."""
    return numba.njit([signature], cache=True, nogil=True, boundscheck=False)


def inlined(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make a function usable inside compiled ones."""
    return numba.njit(cache=False, nogil=True)(function)
