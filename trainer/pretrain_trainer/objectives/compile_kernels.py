"""Compiles the kernels of the objectives into Numba's cache, so that no rank has to:
`python -m pretrain_trainer.objectives.compile_kernels`. For images; takes some seconds once."""

from __future__ import annotations

import pkgutil
import sys
from importlib import import_module

from pretrain_trainer.objectives import kernels


def main() -> int:
    """Import every kernel module: that compiles it."""
    for module in pkgutil.iter_modules(kernels.__path__):
        import_module(f"{kernels.__name__}.{module.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
