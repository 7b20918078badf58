"""Compiles the kernels into Numba's cache, so that no work item has to: `python -m pretrain_dataprep.compile_kernels`.

For installations and images: takes some 15 s once, and nothing when it is done already.
"""

from __future__ import annotations

import pkgutil
import sys
from importlib import import_module

from pretrain_dataprep import kernels
from pretrain_dataprep.progress import log


def main() -> int:
    """Import every kernel module: that compiles it."""
    names = sorted(module.name for module in pkgutil.iter_modules(kernels.__path__))
    for number, name in enumerate(names, start=1):
        log(f"compiling kernels {number}/{len(names)}: {name}")
        import_module(f"pretrain_dataprep.kernels.{name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
