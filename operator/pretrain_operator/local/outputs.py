"""Whether what finished stages wrote is still there: a look at names and sizes, not a reading."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from pydantic import ValidationError

from pretrain_api.names import PREPARATION_STAGES, Component
from pretrain_api.wire import Blend, StorageLayout


def missing_outputs(layout: StorageLayout, stages: Collection[Component]) -> frozenset[Component]:
    """Return the stages of the preparation that have to look at their work items again.

    Once the blend and all that it names are there, what led to it may go. What is gone of a stage's output but its
    folder is there, a later stage finds out.

    Args:
        layout: Where everything is.
        stages: Those that the job needs.
    """
    if _blend_is_whole(layout):
        return frozenset()
    found = {
        Component.FILTER_MODELS: layout.filters,
        Component.CLEAN: layout.clean,
        Component.DEDUP_PAIRS: layout.dedup,
        Component.DEDUP_CLUSTERS: layout.dedup,
        Component.TOKENIZER: layout.tokenizer,
        Component.AUGMENT_PLAN: layout.augmentation,
        Component.TOKENIZE: layout.tokenized,
    }
    missing = {stage for stage, folder in found.items() if stage in stages and not _has_entries(folder)}
    # A stage that is done again may change what the later ones have read.
    first = min((PREPARATION_STAGES.index(stage) for stage in missing), default=len(PREPARATION_STAGES) - 1)
    return frozenset(PREPARATION_STAGES[first:])


def _blend_is_whole(layout: StorageLayout) -> bool:
    try:
        blend = Blend.model_validate_json(layout.blend.read_bytes())
    except (OSError, ValidationError):
        return False
    pairs = [pair for source in blend.sources for pair in source.pairs]
    prefixes = [prefix for pair in pairs for prefix in (pair.train, pair.validation, pair.test) if prefix is not None]
    return all((layout.root / f"{prefix}{suffix}").is_file() for prefix in prefixes for suffix in (".bin", ".idx"))


def _has_entries(folder: Path) -> bool:
    try:
        return any(folder.iterdir())
    except OSError:
        return False
