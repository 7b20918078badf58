"""Where Numba keeps compiled code: one rule for preparation and trainer."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

READY = "PRETRAIN_KERNELS"
"""Variable that names the folder in which an image brings compiled code."""


def choose_kernel_cache(source: Path) -> None:
    """Keep compiled code beside the source; where that is read-only (an image), in a directory for temporary files.

    Numba reads from no folder that it can't write to. So what an image brings is copied. Call it before numba is
    imported, which reads its environment then.

    Args:
        source: Folder of the modules that are compiled.
    """
    if "NUMBA_CACHE_DIR" in os.environ or os.access(source, os.W_OK):
        return
    cache = Path(tempfile.gettempdir()) / f"pretrain-numba-{os.getuid()}"
    if READY in os.environ:
        copy_ready(Path(os.environ[READY]), cache)
    os.environ["NUMBA_CACHE_DIR"] = str(cache)


def copy_ready(ready: Path, cache: Path) -> None:
    """Copy compiled code to where there is none yet; several processes may do so at once."""
    if cache.exists():
        return
    with tempfile.TemporaryDirectory(dir=cache.parent) as name:
        whole = Path(name) / "kernels"
        shutil.copytree(ready, whole)
        with suppress(OSError):  # another one was faster
            whole.rename(cache)
