"""The stages: each module has `run(context)`, which does one work item and returns its counts."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from pretrain_dataprep.context import StageContext

Stage = Callable[[StageContext], dict[str, int]]


def stage_function(stage: str) -> Stage:
    """Return the function that does a work item; imported only now, because every process pays for its imports."""
    function: Stage = import_module(f"pretrain_dataprep.stages.{stage.replace('-', '_')}").run
    return function
